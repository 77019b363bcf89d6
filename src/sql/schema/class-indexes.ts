/** Indexes that GoodJob does not have. */
export interface ClassIndex {
  readonly name: string
  readonly columns: string
}

/**
 * The order of claims with the class in it: the index scan itself skips jobs of classes that a worker does not run. One index is
 * for pools of all queues but some, the other for pools of named queues.
 */
export const CLASS_INDEXES: Readonly<Record<'everyQueue' | 'namedQueue', ClassIndex>> = {
  everyQueue: { name: 'index_good_jobs_node_by_class', columns: 'priority, created_at, job_class' },
  namedQueue: {
    name: 'index_good_jobs_node_by_queue_and_class',
    columns: 'queue_name, priority, created_at, job_class',
  },
}

/** The statement for the owner of the tables to run outside a transaction; this package never runs it. */
export const createClassIndex = ({ name, columns }: ClassIndex): string =>
  `CREATE INDEX CONCURRENTLY ${name} ON good_jobs (${columns}) WHERE finished_at IS NULL AND locked_by_id IS NULL;`

/**
 * The jobs that run, by their key: what GoodJob 4.21 and later counts before each start of a job with a key. Without this index the
 * planner expects that most unfinished jobs run, and reads all of them.
 */
export const RUNNING_INDEX = {
  columns: 'concurrency_key, id',
  statement:
    'CREATE INDEX CONCURRENTLY index_good_jobs_node_running_by_key ON good_jobs (concurrency_key, id) WHERE performed_at IS NOT NULL AND finished_at IS NULL;',
} as const
