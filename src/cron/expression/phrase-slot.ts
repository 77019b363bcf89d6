import type { Refuse } from './schedule.ts'

export type Value = number | string

/** A part of a phrase: what it says about one field, or about the hour (values) and the minute (minutes). */
export interface Slot {
  readonly key: 'hourMinute' | 'second' | 'hour' | 'monthDay' | 'month' | 'weekday' | 'zone'
  readonly values: Value | readonly Value[] | undefined
  readonly minutes?: Value | readonly Value[] | undefined
  /** Another part takes precedence over this one: in the hour (0), in the minute (1), or in both (true). */
  readonly weak?: 0 | 1 | true
  /** This part takes precedence. */
  readonly strong?: 0 | 1 | true
  /** Why Ruby raises for this part. */
  readonly fault?: string
}

type Content = Slot['values']

export const asList = (content: Content): readonly Value[] =>
  content === undefined ? [] : typeof content === 'object' ? content : [content]

export const isGraded = ({ weak, strong }: Slot): boolean => weak !== undefined || strong !== undefined

/** One part of two that speak of the same field. fugit 1.14.0 nat.rb#append. */
export const mergeSlots = (slot: Slot, other: Slot, refuse: Refuse): Slot => ({
  key: slot.key,
  values: mergeHours(slot, other, refuse),
  minutes: mergeContent(slot.minutes, other.minutes, slot, other, 1),
})

const mergeHours = (slot: Slot, other: Slot, refuse: Refuse): Content => {
  if (other.values === undefined || slot.values === undefined) return slot.values ?? other.values
  const range =
    (other.strong === 1 ? hourRange(slot, refuse) : undefined) ??
    (slot.strong === 1 ? hourRange(other, refuse) : undefined)
  return range ?? mergeContent(slot.values, other.values, slot, other, 0)
}

/** "every 5 minutes from 9am to 5pm" ends at 16:55. With "at 9am" instead of the range Ruby raises a NoMethodError. */
const hourRange = ({ key, values, minutes }: Slot, refuse: Refuse): Content => {
  if (key !== 'hourMinute' || minutes !== 0) return undefined
  if (typeof values !== 'string') {
    return refuse(
      "it joins an interval with an hour, on which Ruby's parser fails. Write the fields: " +
        `"*/5 ${asList(values).join(',')} * * *" is every 5 minutes of that hour`,
    )
  }
  const [, first, end] = /^(\d+)-(\d+)$/.exec(values) ?? []
  if (first === undefined || end === undefined) return undefined
  const last = Number(end) - 1
  return Number(first) === last ? last : `${Number(first)}-${last}`
}

const mergeContent = (a: Content, b: Content, slot: Slot, other: Slot, place: 0 | 1): Content => {
  if (b === undefined || a === undefined) return a ?? b
  const is = (grade: Slot['weak']): boolean => grade === place || grade === true
  if (is(slot.strong)) return a
  if (is(other.strong)) return b
  if (is(other.weak)) return a
  if (is(slot.weak)) return b
  if (a === '*' && b === '*') return ['*']
  return [a, b].flatMap((content) => (content === '*' ? [] : asList(content)))
}
