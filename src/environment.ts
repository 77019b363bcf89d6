import { distance } from './configuration-values.ts'

const PREFIX = 'GOOD_JOB_'

/** Variables that are not options of Node: Ruby, the command line, or the tests read them. */
const READ_ELSEWHERE = [
  'SUBPROCESSES',
  'HOOKS',
  'LOG_LEVEL',
  'EXECUTION_MODE',
  'PIDFILE',
  'PROBE_PORT',
  'PROBE_HANDLER',
  'PROBE_APP',
]

const warned = new Set<string>()

/**
 * Warns once of each unknown variable whose name differs from a known one by up to `MISSPELT` letters, e.g. GOOD_JOB_THREAD. Other
 * unknown variables may belong to Ruby or to the user's code.
 */
export const warnOfMisspelt = (env: Readonly<Record<string, string | undefined>>, known: readonly string[]): void => {
  const all = [...known, ...READ_ELSEWHERE.map((name) => `${PREFIX}${name}`)]
  for (const name of Object.keys(env)) {
    if (!name.startsWith(PREFIX) || all.includes(name) || warned.has(name)) continue
    const meant = all.find((candidate) => distance(name, candidate) <= MISSPELT)
    if (meant === undefined) continue
    warned.add(name)
    process.emitWarning(`${name} is not a known variable; did you mean ${meant}?`, {
      code: 'GOOD_JOB_ENVIRONMENT',
    })
  }
}

const MISSPELT = 2
