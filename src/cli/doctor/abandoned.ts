import type { AbandonedJob } from '../../sql/jobs/abandoned.ts'
import { plural } from '../output.ts'

/** At most this many jobs are listed; a person releases them one by one. */
export const MAX_ABANDONED = 20

/** The problem in words; empty if there is none. */
export const abandonedProblems = (jobs: readonly AbandonedJob[]): string[] => {
  if (jobs.length === 0) return []
  const amount = jobs.length === MAX_ABANDONED ? `${MAX_ABANDONED} or more jobs` : plural(jobs.length, 'job')
  return [`${amount} locked by a process that has no row`]
}

/** What to do about these jobs, line by line. */
export const abandonedAdvice = (jobs: readonly AbandonedJob[]): string[] => [
  'A Node worker releases them within minutes, unless their process may still be alive. If you know that it is gone:',
  ...jobs.map(({ id, job_class }) => `good-job jobs release ${id}  # ${job_class ?? 'no class'}`),
]
