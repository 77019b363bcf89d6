import type { WorkerProcess } from '../maintenance/worker-processes.ts'

export const NO_WORKER_HONOURS_PAUSES =
  'no live worker honours pauses: start workers with --enable-pauses (GOOD_JOB_ENABLE_PAUSES; in Rails config.good_job.enable_pauses)'

/** Whether no live worker honours pauses. Ruby's do not say, so one of those may. */
export const ignoresPauses = (processes: readonly WorkerProcess[]): boolean =>
  processes.every(({ is_alive, honours_pauses }) => !is_alive || honours_pauses === false)
