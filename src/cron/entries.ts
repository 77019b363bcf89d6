import { ConfigurationError } from '../errors.ts'
import { shortly } from '../job/definition/mistakes.ts'
import { assertKnownOptions } from '../job/options.ts'
import { jobToText } from '../job/serialization.ts'
import type { CronEntries, CronEntryOptions } from '../schedule/options.ts'
import { type CronContext, CronEntry } from './entry.ts'
import { isComputed, makeSampleJob } from './job.ts'
import { membersOf } from './members.ts'

const MEMBERS = ['cron', 'class', 'args', 'kwargs', 'set', 'description', 'enabledByDefault'] as const

type Member = (typeof MEMBERS)[number]
type Members = Readonly<Partial<Record<Member, unknown>>>

/**
 * The entries of the option `cron`, checked as far as they are values; functions are called at each occurrence only.
 * @throws ConfigurationError that names the entry and its member
 */
export const buildEntries = (entries: CronEntries, context: CronContext): CronEntry[] =>
  Object.entries(entries).map(([key, entry]) => {
    try {
      return buildEntry(key, membersOf(entry), context)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new ConfigurationError(`cron entry ${JSON.stringify(key)}: ${reason}`, { cause: error })
    }
  })

const buildEntry = (key: string, members: Members, context: CronContext): CronEntry => {
  if (key.trim() === '') throw new ConfigurationError('its key is blank; the key names the entry in the rows')
  assertKnownOptions('it', members, MEMBERS)
  for (const member of MEMBERS) assertType(member, members[member])
  const entry = new CronEntry(key, members as CronEntryOptions, context)
  assertStorable(entry)
  return entry
}

interface Rule {
  readonly isRight: (value: unknown) => boolean
  readonly expected: string
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What each member may be, besides a function for all but the description. */
const RULES: { readonly [K in Member]: Rule } = {
  cron: { isRight: isText, expected: 'cron text such as "0 6 * * *", or a function that returns it' },
  class: { isRight: (value) => value !== undefined && value !== null, expected: 'a job class, or the name of one' },
  args: { isRight: isOptional(Array.isArray), expected: 'a list of arguments, or a function that returns it' },
  kwargs: { isRight: isOptional(isObject), expected: 'an object, or a function that returns it' },
  set: {
    isRight: isOptional(isObject),
    expected: 'an object such as { queue: "mail" }, or a function that returns it',
  },
  description: { isRight: isOptional(isText), expected: 'a text' },
  enabledByDefault: {
    isRight: isOptional((value) => typeof value === 'boolean'),
    expected: 'true, false, or a function that returns one of them',
  },
}

/** In Ruby nil stands for a member that is missing. */
function isOptional(isRight: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => value === undefined || value === null || isRight(value)
}

const assertType = (member: Member, value: unknown): void => {
  if (RULES[member].isRight(value) || (isComputed(value) && member !== 'description')) return
  const got = value === undefined ? 'it is missing' : `got ${shortly(value)}`
  throw new ConfigurationError(`${member} is ${RULES[member].expected}; ${got}`)
}

/** Serializes a job of the values, as the first occurrence would. */
const assertStorable = (entry: CronEntry): void => {
  const { clock, configuration } = entry.context.adapter
  const { railsVersion } = configuration
  jobToText(makeSampleJob(entry), { now: clock.now(), railsVersion })
}
