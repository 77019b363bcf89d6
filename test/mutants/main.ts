// npm run mutants [-- --part 3 --only text …]: takes guards away one at a time; exit code 1 when the tests did not notice one.
import { parseArgs } from 'node:util'
import { findPostgres } from '../../src/demo/postgres.ts'
import { MUTANTS } from './list.ts'
import type { Mutant } from './mutant.ts'
import { judge, type Verdict } from './verdict.ts'
import { type TestRun, Workshop } from './workshop.ts'

const USAGE = `npm run mutants -- [options]
  --only <text>      mutants whose name or file contains the text (all)
  --part <number>    the mutants of this part of fifteen, modulo fifteen (all)
  --jobs <number>    copies of the project that work side by side (2)
  --list             names them and runs nothing
  --verbose          names the tests that turned red`

/** npm runs scripts in the root of the project. */
const ROOT = process.cwd()

const usage = (): never => {
  console.error(USAGE)
  process.exit(2)
}

const parse = () => {
  try {
    return parseArgs({
      options: {
        only: { type: 'string' },
        part: { type: 'string' },
        jobs: { type: 'string', default: '2' },
        list: { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
      },
    }).values
  } catch {
    return usage()
  }
}

const options = parse()
const { only = '' } = options
const part = options.part === undefined ? undefined : Number(options.part)
const jobs = Number(options.jobs)
if (!(part === undefined || Number.isInteger(part)) || !(Number.isInteger(jobs) && jobs > 0)) usage()

const PARTS = 15

/** By its words, so that a new guard moves no other one to another part. */
const partOf = ({ file, name }: Mutant): number =>
  [...`${file} ${name}`].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9_973, 0) % PARTS

const chosen = MUTANTS.filter(
  (mutant) =>
    (part === undefined || partOf(mutant) === ((part % PARTS) + PARTS) % PARTS) &&
    `${mutant.file} ${mutant.name}`.includes(only),
)

const describe = (mutant: Mutant, { kind, reason, red }: Verdict, seconds: number): string => {
  const sign = kind === 'caught' ? '✔' : '✖'
  const word = kind === 'caught' ? '' : `${kind.toUpperCase()} `
  const lines = [`${sign} ${word}${mutant.file}: ${mutant.name} (${red.length} red, ${seconds.toFixed(1)} s)`]
  if (reason !== '') lines.push(`    ${reason}`)
  if (options.verbose) lines.push(...red.map((name) => `    red: ${name}`))
  return lines.join('\n')
}

/** Every file once, with all titles that mutants name in it; a file that one of them names without titles is run whole. */
const testsOf = (mutants: readonly Mutant[]): Mutant['tests'] => {
  const all = new Map<string, string[] | 'whole'>()
  for (const [file, titles] of mutants.flatMap(({ tests }) => Object.entries(tests))) {
    const known = all.get(file) ?? []
    all.set(file, known === 'whole' || titles.length === 0 ? 'whole' : [...known, ...titles])
  }
  return Object.fromEntries([...all].map(([file, titles]) => [file, titles === 'whole' ? [] : titles]))
}

/** One run for the files whose titles are named and one for those that are run whole: a pattern holds for a whole run. */
const runUnchanged = async (workshop: Workshop): Promise<TestRun> => {
  const entries = Object.entries(testsOf(chosen))
  const parts = [entries.filter(([, titles]) => titles.length > 0), entries.filter(([, titles]) => titles.length === 0)]
  const runs: TestRun[] = []
  for (const part of parts) {
    if (part.length > 0) runs.push(await workshop.runUnchanged(Object.fromEntries(part)))
  }
  return {
    tests: runs.flatMap(({ tests }) => tests),
    trouble: runs.find(({ trouble }) => trouble !== undefined)?.trouble,
    isTimedOut: runs.some(({ isTimedOut }) => isTimedOut),
  }
}

/** Tries one mutant and prints what became of it. */
const tryOne = async (workshop: Workshop, mutant: Mutant, unchanged: TestRun): Promise<Verdict> => {
  const startedMs = performance.now()
  const verdict = await workshop.runWithout(mutant).then(
    (run) => judge(mutant, unchanged, run),
    (error: Error): Verdict => ({ kind: 'broken', reason: error.message, red: [] }),
  )
  console.log(describe(mutant, verdict, (performance.now() - startedMs) / 1000))
  return verdict
}

/** Returns the mutants that were not caught. */
const work = async (workshop: Workshop, queue: Mutant[], unchanged: TestRun): Promise<Mutant[]> => {
  const left: Mutant[] = []
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const { kind } = await tryOne(workshop, mutant, unchanged)
    if (kind !== 'caught') left.push(mutant)
  }
  return left
}

/**
 * Tries mutants once more, one at a time. Some guards decide a race that a busy machine does not run every time, and a test that was
 * red with its guard may have been red for the same reason.
 */
const tryAgain = async (workshop: Workshop, mutants: readonly Mutant[]): Promise<Mutant[]> => {
  const left: Mutant[] = []
  for (const mutant of mutants) {
    const unchanged = await workshop.runUnchanged(mutant.tests)
    const { kind } = await tryOne(workshop, mutant, unchanged)
    if (kind !== 'caught') left.push(mutant)
  }
  return left
}

const runAll = async (): Promise<boolean> => {
  const server = await findPostgres()
  const workshops: Workshop[] = []
  try {
    for (let index = 0; index < Math.min(jobs, chosen.length); index++) {
      workshops.push(await Workshop.open(ROOT, `copy-${process.pid}-${index}`, server.url))
    }
    const [first] = workshops
    if (first === undefined) return false
    const unchanged = await runUnchanged(first)
    if (unchanged.trouble !== undefined) console.error(unchanged.trouble)
    const queue = [...chosen]
    const left = (await Promise.all(workshops.map((workshop) => work(workshop, queue, unchanged)))).flat()
    if (left.length > 0) console.log(`mutants: ${left.length} once more, one at a time`)
    const survivors = await tryAgain(first, left)
    console.log(`mutants: ${chosen.length - survivors.length} of ${chosen.length} caught`)
    return survivors.length === 0
  } finally {
    await Promise.all(workshops.map((workshop) => workshop.close()))
    await server.stop()
  }
}

// What the tests have started ends with this process, also when it is interrupted.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

console.log(`mutants: ${chosen.length} of ${MUTANTS.length} guards`)
if (options.list) for (const { file, name } of chosen) console.log(`${file}: ${name}`)
else if (chosen.length === 0) usage()
else process.exitCode = (await runAll()) ? 0 : 1
