SELECT pg_advisory_xact_lock(key)::text AS locked FROM (SELECT key FROM unnest($1::bigint[]) AS key ORDER BY key) AS sorted;
