WITH member AS MATERIALIZED (
  SELECT id, batch_id FROM unnest($1::uuid[], $2::uuid[]) AS member(id, batch_id)
),
joined AS (
  UPDATE good_jobs SET batch_id = member.batch_id, updated_at = $3::timestamp
  FROM member
  WHERE good_jobs.id = member.id AND good_jobs.batch_id IS DISTINCT FROM member.batch_id
  RETURNING good_jobs.id
)
SELECT id::text FROM joined
UNION
SELECT good_jobs.id::text FROM good_jobs JOIN member ON good_jobs.id = member.id WHERE good_jobs.batch_id = member.batch_id;
