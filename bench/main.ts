import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type Figure, median } from './figure.ts'
import { writeDocuments } from './report/document.ts'
import { describeMachine } from './report/machine.ts'
import { merge, readResults, writeResults } from './report/results.ts'
import { type RunOptions, type Suite, shown } from './run.ts'
import { BenchServer } from './server.ts'
import { batchSuite } from './suites/batch.ts'
import { finishedSuite, foreignSuite } from './suites/beside.ts'
import { commandsSuite } from './suites/commands.ts'
import { backlogSuite, vacuumSuite } from './suites/depth.ts'
import { drainSuites } from './suites/drain.ts'
import { enqueueSuite } from './suites/enqueue.ts'
import { idleSuite } from './suites/idle.ts'
import { latencySuite } from './suites/latency.ts'
import { manyKeysSuite, oneKeySuite } from './suites/limits.ts'
import { besideBlockedSuite, idleBlockedSuite } from './suites/limits-blocked.ts'
import { limitedEnqueueSuite } from './suites/limits-enqueue.ts'
import { memorySuite } from './suites/memory.ts'
import { processesSuite, waitingSuite } from './suites/more.ts'
import { plansSuite } from './suites/plans.ts'
import { scheduledSuite } from './suites/scheduled.ts'
import { sweepSuite } from './suites/sweep.ts'

const SUITES: readonly Suite[] = [
  ...drainSuites,
  enqueueSuite,
  latencySuite,
  idleSuite,
  waitingSuite,
  processesSuite,
  backlogSuite,
  finishedSuite,
  foreignSuite,
  vacuumSuite,
  scheduledSuite,
  batchSuite,
  sweepSuite,
  memorySuite,
  commandsSuite,
  plansSuite,
  oneKeySuite,
  manyKeysSuite,
  besideBlockedSuite,
  idleBlockedSuite,
  limitedEnqueueSuite,
]

const USAGE = `npm run bench -- [options]

  --only <names>         suites, comma separated: ${SUITES.map(({ name }) => name).join(', ')};
                         limits: those whose names begin with limits-
  --rounds <count>       rounds in which the contenders take turns (5)
  --scale <factor>       multiplies the number of jobs (1)
  --contenders <regexp>  only those whose name matches
  --quick                one round at a tenth of the size
  --json <file>          the figures with every round, for programs
  --write                puts the figures into docs/
  --add                  with --write: adds the rounds to the ones that are there
  --render               measures nothing: writes docs/ from docs/performance.json again
  --keep                 leaves filled tables on the server of DATABASE_URL for the next run; --rounds 0 only fills

DATABASE_URL names a server to use as it is; without it an embedded one is started.
`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string' },
    scale: { type: 'string' },
    contenders: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
    add: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    render: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const say = (text: string): void => console.log(text)

const chosenSuites = (): Suite[] => {
  const names = values.only?.split(',') ?? SUITES.map(({ name }) => name)
  return names.flatMap((name) => {
    const suites = SUITES.filter((suite) => suite.name === name || suite.group === name)
    if (suites.length === 0) throw new Error(`no suite "${name}"\n\n${USAGE}`)
    return suites
  })
}

const run = async (): Promise<void> => {
  const suites = chosenSuites()
  const server = await BenchServer.start(process.env, { keep: values.keep })
  const options: RunOptions = {
    server,
    rounds: Number(values.rounds ?? (values.quick ? 1 : 5)),
    scale: Number(values.scale ?? (values.quick ? 0.1 : 1)),
    contenders: new RegExp(values.contenders),
    isWritten: values.write,
    say,
  }
  try {
    for (const suite of suites) {
      say(`\n${suite.name}`)
      const measured = await suite.run(options)
      const date = new Date().toISOString().slice(0, 10)
      const figures = measured.map((figure) => ({ ...figure, scale: options.scale, date }))
      if (options.rounds === 0) continue
      for (const figure of figures) print(figure)
      await keep(figures, server)
    }
  } finally {
    await server.stop()
  }
}

const kept: Figure[] = []

/** After each suite, so that a run that is cut short leaves what it has. */
const keep = async (figures: readonly Figure[], server: BenchServer): Promise<void> => {
  kept.push(...figures)
  if (values.json) await writeFile(values.json, `${JSON.stringify(kept, null, 1)}\n`)
  if (!values.write) return
  const known = await readResults()
  const results = {
    machine: await describeMachine(server),
    figures: merge(known?.figures ?? [], figures, values.add),
  }
  await writeResults(results)
  await writeDocuments(results)
}

const render = async (): Promise<void> => {
  const results = await readResults()
  if (results !== undefined) await writeDocuments(results)
}

const print = ({ title, unit, series }: Figure): void => {
  say(`\n${title}, ${unit}`)
  for (const { name, values: rounds } of series) {
    const range = `${shown(Math.min(...rounds))} – ${shown(Math.max(...rounds))}`
    say(`  ${name.padEnd(58)} ${shown(median(rounds)).padStart(9)}  ${range}`)
  }
}

if (values.help) say(USAGE)
else if (values.render) await render()
else await run()
