import { ConfigurationError } from './errors.ts'

/** `[count, seconds]`: at most `count` jobs within any `seconds`. */
export type ThrottleValue = readonly [count: number, seconds: number]

export interface Throttle {
  readonly count: number
  readonly seconds: number
}

/** GoodJob 4.23.1 concurrency.rb: Rule#resolve_limit. */
export const isLimit = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY

export const isThrottle = (value: unknown): value is ThrottleValue => {
  if (!Array.isArray(value) || value.length !== 2) return false
  const [count, seconds]: unknown[] = value
  return isLimit(count) && isLimit(seconds) && seconds > 0
}

export const throttleOf = ([count, seconds]: ThrottleValue): Throttle => ({ count, seconds })

/** A rule that holds for every job with this label or key which the worker runs, whatever its class. */
export interface WorkerConcurrencyRule {
  /** Give a label or a key, not both. */
  readonly label?: string
  readonly key?: string
  /** Maximum number of running jobs. A further job waits. */
  readonly performLimit?: number
  /** At most `count` jobs are started within any `seconds`. A further job waits. */
  readonly performThrottle?: ThrottleValue
}

const MEMBERS = ['label', 'key', 'performLimit', 'performThrottle']
const EXAMPLE = '[{ label: "api", performLimit: 5 }]'

/** Reads the option `concurrency`, a list or its JSON text. @throws ConfigurationError for anything else */
export const parseConcurrency = (value: unknown, name: string): readonly WorkerConcurrencyRule[] => {
  const list = typeof value === 'string' ? parseJson(value, name) : value
  if (typeof list === 'number') {
    const threads = name.startsWith('--') ? '--threads' : 'threads'
    throw new ConfigurationError(
      `${name} is a list of rules, such as ${EXAMPLE}; the number of jobs at the same time is ${threads}`,
    )
  }
  if (!Array.isArray(list)) throw new ConfigurationError(`${name}: expected a list of rules, such as ${EXAMPLE}`)
  return list.map((rule, index) => parseRule(rule, `${name}[${index}]`))
}

const parseJson = (text: string, name: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ConfigurationError(`${name}: expected JSON, such as [{"label":"api","performLimit":5}]`, { cause: error })
  }
}

const parseRule = (rule: unknown, where: string): WorkerConcurrencyRule => {
  if (typeof rule !== 'object' || rule === null) {
    throw new ConfigurationError(`${where}: expected an object, such as { label: "api", performLimit: 5 }`)
  }
  const unknown = Object.keys(rule).find((member) => !MEMBERS.includes(member))
  if (unknown !== undefined) {
    throw new ConfigurationError(`${where} has no option "${unknown}"; known are ${MEMBERS.join(', ')}`)
  }
  const { label, key, performLimit, performThrottle } = rule as Record<string, unknown>
  const names = [label, key].filter((each) => each !== undefined)
  if (names.length !== 1 || typeof names[0] !== 'string' || names[0].trim() === '') {
    throw new ConfigurationError(`${where}: expected a label or a key, a text that is not blank`)
  }
  if (performLimit === undefined && performThrottle === undefined) {
    throw new ConfigurationError(`${where}: expected performLimit or performThrottle`)
  }
  if (performLimit !== undefined && !isLimit(performLimit)) {
    throw new ConfigurationError(`${where}: performLimit must be a number of at least 0`)
  }
  if (performThrottle !== undefined && !isThrottle(performThrottle)) {
    throw new ConfigurationError(`${where}: performThrottle must be [count, seconds], such as [10, 60]`)
  }
  return { ...(rule as WorkerConcurrencyRule), ...(typeof label === 'string' && { label: label.trim() }) }
}
