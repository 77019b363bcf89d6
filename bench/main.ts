import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type Figure, median, type Suite } from './run.ts'
import { BenchServer } from './server.ts'
import { drainDeletingSuite, drainLanesSuite, drainSuite } from './suites/drain.ts'

const SUITES: readonly Suite[] = [drainSuite, drainLanesSuite, drainDeletingSuite]

const USAGE = `npm run bench -- [options]

  --only <names>         suites, comma separated: ${SUITES.map(({ name }) => name).join(', ')}
  --rounds <count>       rounds in which the contenders take turns (5)
  --scale <factor>       multiplies the number of jobs (1)
  --contenders <regexp>  only those whose name matches
  --quick                one round at a tenth of the size
  --json <file>          the figures with every round, for programs
`

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string' },
    scale: { type: 'string' },
    contenders: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const say = (text: string): void => console.log(text)

const run = async (): Promise<void> => {
  const names = values.only?.split(',') ?? SUITES.map(({ name }) => name)
  const suites = names.map((name) => {
    const suite = SUITES.find((each) => each.name === name)
    if (suite === undefined) throw new Error(`no suite "${name}"\n\n${USAGE}`)
    return suite
  })
  const options = {
    rounds: Number(values.rounds ?? (values.quick ? 1 : 5)),
    scale: Number(values.scale ?? (values.quick ? 0.1 : 1)),
    contenders: new RegExp(values.contenders),
    say,
  }
  const server = await BenchServer.start()
  try {
    const figures: Figure[] = []
    for (const suite of suites) {
      say(`\n${suite.name}`)
      figures.push(...(await suite.run({ ...options, server })))
    }
    for (const figure of figures) print(figure)
    if (values.json) await writeFile(values.json, `${JSON.stringify(figures, null, 1)}\n`)
  } finally {
    await server.stop()
  }
}

const print = ({ title, unit, series }: Figure): void => {
  say(`\n${title}, ${unit}`)
  for (const { name, values: rounds } of series) {
    const range = `${Math.round(Math.min(...rounds))}–${Math.round(Math.max(...rounds))}`
    say(`  ${name.padEnd(58)} ${String(Math.round(median(rounds))).padStart(8)}  ${range}`)
  }
}

if (values.help) say(USAGE)
else await run()
