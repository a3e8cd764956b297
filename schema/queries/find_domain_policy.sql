-- One row, if there is one that the programs have to know; the columns of load_domain_policy.sql.
SELECT domain, mode, outbound, match, min_protocol, ciphers, exclude, tafile, inbound,
       inbound_match, min_bits, on_failure, fallback
FROM domain_policy
WHERE domain = :domain AND mode <> 'off'
