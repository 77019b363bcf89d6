import { type FieldRule, MONTH, WEEKDAY } from './field-rules.ts'
import { CLASSIC_FIELDS, FIELDS_WITH_SECONDS, isField, readFields } from './fields.ts'
import { fieldsOfPhrase } from './phrase.ts'
import type { Refuse } from './schedule.ts'
import { zoneNamed } from './zone.ts'

const FIVE_FIELDS = 'Write five fields (minute, hour, day of the month, month, weekday), such as "0 9 * * 1-5"'

/** Why a text is no expression, and what to write instead. */
export const explain = (text: string): string =>
  explainSpecial(text) ?? (/^[a-z]{2}/i.test(text) ? explainPhrase(text) : explainFields(text))

const DURATION = /^(\d+)\s*(s|m|h|d)[a-z]*$/i
const UNITS: Readonly<Record<string, string>> = { s: 'seconds', m: 'minutes', h: 'hours', d: 'days' }

const explainSpecial = (text: string): string | undefined => {
  if (text === '') return `it is empty. ${FIVE_FIELDS}`
  if (text === '@reboot') return 'GoodJob enqueues nothing at boot. Enqueue the job where the program starts'
  if (text.startsWith('@'))
    return 'the names are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @noon and @hourly'
  if (/^\d{4}-\d/.test(text)) return 'it is a single instant. Enqueue the job with waitUntil'
  if (isSeveral(text)) return 'it has several expressions. Write an entry for each'
  const [, count, unit = ''] = DURATION.exec(text) ?? []
  if (count === undefined) return /^[-+]?\d+$/.test(text) ? `it is a single number. ${FIVE_FIELDS}` : undefined
  return `it is a duration. ${advice(`every ${count} ${UNITS[unit.toLowerCase()]}`) ?? FIVE_FIELDS}`
}

const isSeveral = (text: string): boolean => {
  const parts = text.split(/[,;|\n]\s*/)
  return parts.length > 1 && parts.every((part) => readFields(part) !== undefined)
}

const explainPhrase = (text: string): string => {
  const usual = usualPhrase(text)
  const fields = phraseFields(text)
  const meant = usual === text ? undefined : advice(usual)
  if (meant === undefined && fields !== undefined)
    return `it stands for the fields "${fields}": ${explainFields(fields)}`
  return `it is no phrase that GoodJob reads. ${meant ?? FIVE_FIELDS}`
}

/** The fields of a phrase that is read, to write instead. */
const advice = (phrase: string): string | undefined => {
  const text = phraseFields(phrase)
  const fields = text === undefined ? undefined : readFields(text)
  const isKnown = fields !== undefined && (fields.zone === undefined || zoneNamed(fields.zone) !== undefined)
  return isKnown ? `Write "${text}"` : undefined
}

const phraseFields = (phrase: string): string | undefined => {
  try {
    return fieldsOfPhrase(phrase, stop)
  } catch (error) {
    if (error instanceof UnreadablePhrase) return undefined
    throw error
  }
}

class UnreadablePhrase extends Error {}

const stop: Refuse = (reason) => {
  throw new UnreadablePhrase(reason)
}

const FREQUENCIES: Readonly<Record<string, string>> = {
  hourly: 'every hour',
  daily: 'every day',
  weekly: 'every week',
  monthly: 'every month',
  yearly: 'every year',
  annually: 'every year',
}

/** What may be meant: the same in lower case, or with the words that GoodJob reads. Names of zones keep their case. */
const usualPhrase = (text: string): string =>
  text
    .replace(/\S+/g, (word) => (word.includes('/') ? word : word.toLowerCase()))
    .replace(/^\w+/, (word) => FREQUENCIES[word] ?? word)
    .replace(/^(?:each|every) other (\w+?)s?\b/, 'every 2 $1s')
    .replace(/^each\b/, 'every')

const explainFields = (text: string): string => {
  const words = text.split(/[ \t]+/)
  const rules = rulesFor(words)
  if (rules === undefined) return `it has ${words.length} fields, not five, or six with seconds first. ${FIVE_FIELDS}`
  const wrong = rules.findIndex((rule, index) => !isField(rule, words[index] ?? ''))
  const rule = rules[wrong]
  if (rule !== undefined) return explainField(rule, words[wrong] ?? '')
  const zone = words[rules.length]
  return zone === undefined ? FIVE_FIELDS : unknownZone(zone)
}

/** Five words, five with a zone, six, or six with a zone. */
const rulesFor = (words: readonly string[]): readonly FieldRule[] | undefined => {
  const isZone = !/^[\d*/?,]|^(?:sun|mon|tue|wed|thu|fri|sat|l)/i.test(words.at(-1) ?? '')
  const count = words.length - (isZone && words.length > 5 ? 1 : 0)
  return count === 5 ? CLASSIC_FIELDS : count === 6 ? FIELDS_WITH_SECONDS : undefined
}

const explainField = (rule: FieldRule, word: string): string => {
  if (word.includes('?')) return `the ${rule.name} is "${word}". Write "*" for each ${rule.name}`
  const isLong = (rule === MONTH || rule === WEEKDAY) && /[a-z]{4}/i.test(word)
  const names = isLong ? `. Write "${word.replace(/([a-z]{3})[a-z]+/gi, '$1').toLowerCase()}"` : ''
  const step = /\/\d{3}/.test(word) ? ', with a step of at most two digits' : ''
  return `the ${rule.name} is "${word}", but it must be ${rule.allowed}${step}${names}`
}

/** fugit 1.14.0 takes names that begin with a capital letter, and offsets of less than 12 hours. */
const unknownZone = (zone: string): string => {
  const name = /^(?:z|utc|gmt)$/i.test(zone)
    ? 'Write "UTC"'
    : 'Write a name such as "Europe/Berlin", or an offset such as "+05:30"'
  const limit = /^[+-]\d/.test(zone) ? '. An offset must be less than 12 hours, and at a full quarter of an hour' : ''
  return `there is no time zone "${zone}". ${name}${limit}`
}
