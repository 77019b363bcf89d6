import { readPhrase } from './phrase-grammar.ts'
import { asList, isGraded, mergeSlots, type Slot, type Value } from './phrase-slot.ts'
import type { Refuse } from './schedule.ts'

/** The fields that an English phrase stands for, or undefined if fugit reads none. fugit 1.14.0 nat.rb. */
export const fieldsOfPhrase = (text: string, refuse: Refuse): string | undefined => {
  // A number alone is a duration in seconds for fugit.
  if (/^[-+]?\d+$/.test(text)) return undefined
  const parts = readPhrase(text)
  if (parts === undefined) return undefined
  const fault = parts.find((part) => part.fault !== undefined)?.fault
  return fault === undefined ? fieldsOf(parts, refuse) : refuse(fault)
}

const fieldsOf = (parts: readonly Slot[], refuse: Refuse): string => {
  const slots = merged(parts, refuse)
  const list = (key: Slot['key'], otherwise: Value = '*'): readonly Value[] =>
    slots.has(key) ? asList(slots.get(key)?.values) : [otherwise]
  const second = list('second', '0')
  const { hours, minutes } = times(hourParts(parts, slots, refuse), refuse)
  const dates = [slots.has('monthDay') || !needsDay(slots) ? list('monthDay') : [1], list('month'), list('weekday')]
  const zone = slots.has('zone') ? [list('zone')] : []
  const fields = [...(second.join() === '0' && second[0] === '0' ? [] : [second]), minutes, hours, ...dates, ...zone]
  return fields.map(joined).join(' ')
}

/** What the parts say about each field but the hour and the minute. */
const merged = (parts: readonly Slot[], refuse: Refuse): Map<Slot['key'], Slot> => {
  const slots = new Map<Slot['key'], Slot>()
  for (const part of parts) {
    const earlier = slots.get(part.key)
    if (part.key !== 'hourMinute') slots.set(part.key, earlier === undefined ? part : mergeSlots(earlier, part, refuse))
  }
  return slots
}

/** "every 3 months" is on the first of the month. */
const needsDay = (slots: ReadonlyMap<Slot['key'], Slot>): boolean => slots.has('month') && !slots.has('weekday')

const hourParts = (parts: readonly Slot[], slots: ReadonlyMap<Slot['key'], Slot>, refuse: Refuse): Slot[] => {
  const hours = parts.filter(({ key }) => key === 'hourMinute')
  const isDay = slots.has('monthDay') || slots.has('weekday') || slots.has('month')
  if (hours.length === 0) return isDay ? [{ key: 'hourMinute', values: 0, minutes: 0 }] : []
  for (let index = hours.findIndex(isGraded); hours.length > 1 && index !== -1; index = hours.findIndex(isGraded)) {
    mergeWithNeighbor(hours, index, refuse)
  }
  return hours
}

const mergeWithNeighbor = (hours: Slot[], index: number, refuse: Refuse): void => {
  const graded = hours[index]
  const [other] = hours.splice(index === 0 ? 1 : index - 1, 1)
  if (graded !== undefined && other !== undefined) hours[Math.max(index - 1, 0)] = mergeSlots(graded, other, refuse)
}

interface Times {
  readonly hours: readonly Value[]
  readonly minutes: readonly Value[]
}

/** "at 5pm and 6:30pm" needs two expressions. fugit keeps the first: the hours of the first minute, and the minutes with the same hours. */
const times = (parts: readonly Slot[], refuse: Refuse): Times => {
  if (parts.length === 0) return { hours: ['*'], minutes: ['*'] }
  const hoursOf = new Map<Value, Value[]>()
  for (const { values, minutes } of parts) {
    for (const minute of asList(minutes)) hoursOf.set(minute, [...(hoursOf.get(minute) ?? []), ...asList(values)])
  }
  const all = [...hoursOf].map(([minute, hours]) => ({ minute, key: JSON.stringify(sorted(hours, refuse)), hours }))
  const same = all.filter(({ key }) => key === all[0]?.key)
  return { hours: all[0]?.hours ?? [], minutes: same.map(({ minute }) => minute) }
}

const sorted = (hours: readonly Value[], refuse: Refuse): readonly Value[] => {
  const kinds = new Set(hours.map((hour) => typeof hour))
  if (kinds.size > 1)
    refuse("it joins an interval or a range of hours with an hour, on which Ruby's parser fails. Write the fields")
  return [...hours].sort((a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : a < b ? -1 : 1))
}

const joined = (values: readonly Value[]): string => {
  const numbers = values.filter((value) => typeof value === 'number').sort((a, b) => a - b)
  return [...new Set([...numbers, ...values.filter((value) => typeof value !== 'number')])].join(',')
}
