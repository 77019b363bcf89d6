import { inspect } from 'node:util'
import { ConfigurationError } from '../../errors.ts'

const RETRIES = 'write this.retryOn(SomeError, { attempts: 5 }) in a static block'
const CONCURRENCY = `the number of jobs at a time is the worker's: --queues "mail:1", or the option queues of Capsule; or that of a rule: this.concurrencyRule({ … })`

/** Static fields of other libraries that this one does not read, in lower case without underscores, and the right way to write each. */
const MISTAKEN: Readonly<Record<string, string>> = {
  queue: `write static queueAs = 'mail'`,
  queuename: `write static queueAs = 'mail'`,
  queueas: `write static queueAs = 'mail'`,
  jobclass: `write static jobClass = 'MailJob'`,
  jobname: `write static jobClass = 'MailJob'`,
  formernames: `write static formerNames = ['OldMailJob']`,
  maxattempts: RETRIES,
  attempts: RETRIES,
  retries: RETRIES,
  maxretries: RETRIES,
  concurrency: CONCURRENCY,
  maxconcurrency: CONCURRENCY,
}

const READ = new Set(['queueAs', 'jobClass', 'formerNames'])

const isMethod = (owner: object, name: string): boolean =>
  typeof Object.getOwnPropertyDescriptor(owner, name)?.value === 'function'

/** Throws ConfigurationError for a static field that looks like an option but is none. Methods are not checked. */
export const assertNoMistakenStatics = (jobClass: object): void => {
  // The chain ends with Job, its base class and Function.prototype; none of them has such a field.
  for (let owner: unknown = jobClass; typeof owner === 'function'; owner = Object.getPrototypeOf(owner)) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      if (READ.has(name)) continue
      const advice = MISTAKEN[name.toLowerCase().replaceAll('_', '')]
      if (advice === undefined || isMethod(owner, name)) continue
      throw new ConfigurationError(`${owner.name}: static ${name} is not an option of Job; ${advice}`)
    }
  }
}

/** Advice for an undefined value: of two modules that import each other, one sees the other's exports only after both have loaded. */
export const UNDEFINED_ADVICE =
  'is undefined: check that its module exports this name, and that no two modules import each other'

/** A short description of a value for messages. */
export const shortly = (value: unknown): string =>
  inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY }).slice(0, 80)
