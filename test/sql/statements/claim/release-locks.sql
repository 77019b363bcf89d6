SELECT count(*) FILTER (WHERE NOT pg_advisory_unlock(key))::int AS missing FROM unnest($1::bigint[]) AS key;
