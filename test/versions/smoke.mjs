// @ts-nocheck: plain JavaScript against the installed package, which is not here
// Runs beside an installed good-job-node, under any Node: installs the tables in the empty database of DATABASE_URL, enqueues,
// works, retries, discards, completes a batch. Prints what the tables say as one line of JSON.
import { execFileSync } from 'node:child_process'
import { Batch, Capsule, Job, performAllLater } from 'good-job-node'
import pg from 'pg'

const goodJob = (...args) =>
  execFileSync(process.execPath, ['node_modules/good-job-node/dist/cli.js', ...args], { encoding: 'utf8' })

let batchSucceeded
const batchSuccess = new Promise((resolve) => {
  batchSucceeded = resolve
})
const sums = []

class AddJob extends Job {
  async perform(a, { b }) {
    sums.push(a + b)
  }
}

class FlakyJob extends Job {
  static {
    this.retryOn(RangeError, { wait: 0, attempts: 3 })
  }
  async perform() {
    if (this.executions < 3) throw new RangeError(`attempt ${this.executions}`)
  }
}

class UnwantedJob extends Job {
  static {
    this.discardOn(TypeError)
  }
  async perform() {
    throw new TypeError('not wanted')
  }
}

class BatchCallbackJob extends Job {
  async perform(batch, { event }) {
    batchSucceeded({ event, properties: batch.properties })
  }
}

goodJob('schema', 'install')
goodJob('schema', 'install')
const jobs = [AddJob, FlakyJob, UnwantedJob, BatchCallbackJob]
const capsule = new Capsule({ jobs, databaseUrl: process.env.DATABASE_URL, maxThreads: 2 })
await capsule.start()
await UnwantedJob.performLater()
await performAllLater([new AddJob(1, { b: 2 }), new AddJob(3, { b: 4 })])
await Batch.enqueue({ onSuccess: BatchCallbackJob, properties: { note: 'ä' } }, async () => {
  await FlakyJob.performLater()
  await AddJob.set({ priority: 5 }).performLater(5, { b: 6 })
})
const callback = await batchSuccess
await capsule.shutdown({ timeout: 10 })

const client = new pg.Client({ connectionString: process.env.DATABASE_URL })
await client.connect()
const { rows } = await client.query(`
  SELECT job_class, count(*)::integer AS jobs, sum(executions_count)::integer AS executions, min(error) AS error
  FROM good_jobs
  WHERE finished_at IS NOT NULL
  GROUP BY job_class
  ORDER BY job_class`)
await client.end()
console.log(JSON.stringify({ node: process.version, sums: sums.sort((a, b) => a - b), callback, rows }))
