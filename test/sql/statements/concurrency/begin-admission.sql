BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = 1000; SELECT pg_advisory_xact_lock('4354430579665871434'::bigint); SELECT pg_advisory_xact_lock('7148357773255442908'::bigint);
