// npm run torture [-- --minutes 5 --seed 1 --no-ruby]: a mixed fleet under faults; exit code 1 when a promise was broken.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareRuby } from './ruby.ts'
import { runTorture } from './torture.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    'no-ruby': { type: 'boolean', default: false },
  },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error('usage: npm run torture -- --minutes <more than 0> --seed <whole number> [--no-ruby]')
  process.exit(2)
}

const hasRuby = !values['no-ruby'] && (await prepareRuby())
const logFolder = await mkdtemp(join(tmpdir(), 'good-job-torture-'))
const workers = hasRuby
  ? 'two workers in Node, Ruby workers on advisory, skiplocked and hybrid'
  : 'three workers in Node, no Ruby'
console.log(`torture: ${minutes} minutes, seed ${seed}, ${workers}; their logs: ${logFolder}`)
if (!hasRuby) console.log('torture: there is no Ruby here, so nothing is shown about a mixed fleet')
const isKept = await runTorture({ minutes, seed, hasRuby, logFolder })
process.exit(isKept ? 0 : 1)
