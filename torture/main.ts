// npm run torture [-- --minutes 5 --seed 1 …]: a mixed fleet under faults; exit code 1 when a promise was broken.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareRuby } from './ruby.ts'
import { runTorture } from './torture.ts'
import { isRuby, STRATEGIES, type Strategy } from './worker-process.ts'

const USAGE = `npm run torture -- [options]
  --minutes <number>   how long faults are injected (5)
  --seed <number>      where the random choices come from; printed when not given
  --workers <list>     of ${STRATEGIES.join(', ')} (node,deferred,advisory,skiplocked,hybrid)
  --faults <list>      names of faults, separated by semicolons (all)
  --every <seconds>    the mean time from one fault to the next (1.6)`

const usage = (): never => {
  console.error(USAGE)
  process.exit(2)
}

const options = {
  minutes: { type: 'string', default: '5' },
  seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
  workers: { type: 'string', default: 'node,deferred,advisory,skiplocked,hybrid' },
  faults: { type: 'string' },
  every: { type: 'string', default: '1.6' },
} as const

const parse = () => {
  try {
    return parseArgs({ options }).values
  } catch {
    return usage()
  }
}

const isStrategy = (word: string): word is Strategy => (STRATEGIES as readonly string[]).includes(word)

const values = parse()
const minutes = Number(values.minutes)
const seed = Number(values.seed)
const every = Number(values.every)
const words = values.workers.split(',')
const wanted = words.filter(isStrategy)
if (!(minutes > 0 && every > 0) || !Number.isInteger(seed) || wanted.length !== words.length) usage()

const needsRuby = wanted.some(isRuby)
const hasRuby = needsRuby && (await prepareRuby())
const workers = hasRuby ? wanted : wanted.map((strategy) => (isRuby(strategy) ? 'node' : strategy))
const logFolder = await mkdtemp(join(tmpdir(), 'good-job-torture-'))
console.log(`torture: ${minutes} minutes, seed ${seed}, workers ${workers.join(', ')}; their logs: ${logFolder}`)
if (needsRuby && !hasRuby) {
  console.log('torture: there is no Ruby here, so nothing is shown about a mixed fleet')
  if (process.env.CI === 'true') process.exit(1)
}
const isKept = await runTorture({ minutes, seed, every, workers, logFolder, faults: values.faults?.split(';') })
process.exit(isKept ? 0 : 1)
