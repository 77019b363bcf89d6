// A worker in Node of a fleet: prints "ready <process id>", then one line of JSON for each event that a report counts.
import { Capsule, type EventName, events } from '../src/index.ts'
import { CallbackJob, NodeJob, SharedJob } from './jobs.ts'
import { LIMITED_CLASSES } from './limited-jobs.ts'

const COUNTED = [
  'lane_lost',
  'lane_restored',
  'outcome_lost',
  'outcome_write_failed',
  'claim_failed',
  'worker_error',
  'processes_released',
  'process_heartbeat_failed',
  'notifier_notify_error',
  'batch_healed',
  'batch_recovered',
  'batch_unproven',
  'batch_false_success',
] as const satisfies readonly EventName[]

const say = (line: string) => process.stdout.write(`${line}\n`)

for (const name of COUNTED)
  events.on(name, (payload) =>
    say(JSON.stringify({ event: name, at: Date.now(), ...payload, ...textOfError(payload) })),
  )

const textOfError = (payload: object): object =>
  'error' in payload && payload.error instanceof Error ? { error: payload.error.message } : {}

const capsule = new Capsule({
  jobs: [SharedJob, NodeJob, CallbackJob, ...LIMITED_CLASSES.map(({ jobClass }) => jobClass)],
  ...JSON.parse(process.env.WORKER_OPTIONS ?? '{}'),
})
process.once('SIGTERM', async () => {
  await capsule.shutdown({ timeout: 20 })
  await capsule.leave()
  process.exit(0)
})
await capsule.start()
// The process lives until it gets a signal, or until the process that started it has ended.
process.stdin.resume().once('end', () => process.exit(1))
say(`ready ${capsule.processId}`)
