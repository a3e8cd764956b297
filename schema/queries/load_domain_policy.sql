-- Every row the programs have to know, in key order. A row in mode off is as if it were not there.
SELECT domain, mode, outbound, match, min_protocol, ciphers, exclude, tafile, inbound,
       inbound_match, min_bits, on_failure, fallback
FROM domain_policy
WHERE mode <> 'off'
