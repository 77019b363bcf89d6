import { pc } from '../colors.ts'
import type { Play } from './play.ts'

interface ClassSummary {
  readonly job_class: string
  readonly jobs: number
  readonly succeeded: number
  readonly discarded: number
  readonly attempts: number
}

const SUMMARIZE = `
SELECT job_class,
  count(*)::int AS jobs,
  (count(*) FILTER (WHERE finished_at IS NOT NULL AND error IS NULL))::int AS succeeded,
  (count(*) FILTER (WHERE finished_at IS NOT NULL AND error IS NOT NULL))::int AS discarded,
  sum(executions_count)::int AS attempts
FROM good_jobs
GROUP BY job_class
ORDER BY job_class`

/** Prints what the tables contain at the end. */
export const showSummary = async ({ screen, stage }: Play): Promise<void> => {
  const { rows } = await stage.capsule.adapter.database.pool.query<ClassSummary>(SUMMARIZE)
  screen.line(pc.bold('\n3. What the tables say'))
  screen.line(
    pc.dim(
      `  ${'class'.padEnd(24)}${['jobs', 'succeeded', 'discarded', 'attempts'].map((title) => title.padStart(11)).join('')}`,
    ),
  )
  for (const { job_class, jobs, succeeded, discarded, attempts } of rows) {
    const numbers = [jobs, succeeded, discarded, attempts].map((number) => String(number).padStart(11))
    screen.line(`  ${job_class.padEnd(24)}${numbers.join('')}`)
  }
}
