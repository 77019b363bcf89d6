SELECT pg_notify('good_job', payload)::text AS message FROM unnest($1::text[]) AS payload;
