"""The e2e lab: a real Postfix and scripted partners on networks of their own. Used by the e2e tests and by the demo.

Start with lab.py (what a test sees), then postfix.py, catalogue.py, partner.py; isolate.py keeps it off the host.
"""
