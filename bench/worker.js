// A worker process for the benchmarks: `node bench/worker.js <threads>` with DATABASE_URL; says "ready" when it claims.
import { Capsule, Job } from '../dist/index.js'

class NoopJob extends Job {
  /** @override */
  static queueAs = 'node'
  /** @override */
  perform() {}
}

const capsule = new Capsule({ jobs: [NoopJob], queues: 'node', threads: Number(process.argv[2] ?? 10) })
await capsule.start()
console.log('ready')
process.once('SIGTERM', async () => {
  const { user, system } = process.cpuUsage()
  console.log(JSON.stringify({ cpuSeconds: (user + system) / 1e6 }))
  await capsule.shutdown()
  process.exit(0)
})
