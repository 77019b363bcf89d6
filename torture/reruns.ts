/** How long jobs of killed workers waited for their next attempt, milliseconds. */
export interface Rerun {
  /** How the dead worker had claimed, and the one that ran the job again. */
  readonly dead: string
  readonly next: string
  /** At once, or only after the dead process had been forgotten: then counted from there. */
  readonly since: 'death' | 'expiry'
  readonly jobs: number
  readonly p50: number
  readonly max: number
}

/** Of an attempt `a` that the death of its worker cut off: the next one. */
const NEXT_RUN = `
    SELECT * FROM fleet_runs WHERE job_id = a.job_id AND started_at > death.at ORDER BY started_at LIMIT 1`

/** From when on the next attempt `b` was possible. A Ruby worker on advisory need not wait until the dead process has expired. */
const ORIGIN = `
    SELECT * FROM (VALUES ('expiry', death.forgotten_at), ('death', death.at)) AS each(since, at)
    WHERE at < b.started_at AND (since = 'death' OR b.strategy <> 'advisory')
    ORDER BY at DESC LIMIT 1`

/** How long each attempt that was cut off before its outcome was written took to be made again. */
const RERUN = `
  SELECT a.strategy AS dead, b.strategy AS next, origin.since, extract(epoch FROM b.started_at - origin.at) * 1000 AS ms
  FROM fleet_runs a
  JOIN fleet_deaths death USING (worker)
  JOIN LATERAL (${NEXT_RUN}
  ) AS b ON true
  CROSS JOIN LATERAL (${ORIGIN}
  ) AS origin
  WHERE a.until = death.at AND a.started_at <= death.at AND NOT a.is_recorded`

export const RERUNS = `
SELECT dead, next, since, count(*)::integer AS jobs,
  round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms))::integer AS p50, round(max(ms))::integer AS max
FROM (${RERUN}
) AS rerun GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`
