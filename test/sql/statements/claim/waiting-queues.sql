WITH RECURSIVE queue AS (
  (SELECT queue_name FROM good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL AND queue_name IS NOT NULL ORDER BY queue_name LIMIT 1)
  UNION ALL
  SELECT (
    SELECT queue_name FROM good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL AND queue_name > queue.queue_name ORDER BY queue_name LIMIT 1
  )
  FROM queue
  WHERE queue_name IS NOT NULL
)
SELECT queue_name FROM (SELECT queue_name FROM queue LIMIT 31) AS named WHERE queue_name IS NOT NULL
UNION ALL
SELECT NULL WHERE EXISTS (SELECT FROM good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL AND queue_name IS NULL);
