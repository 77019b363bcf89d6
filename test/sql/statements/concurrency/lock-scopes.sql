SELECT pg_advisory_xact_lock(key)::text AS locked FROM unnest($1::bigint[]) AS key;
