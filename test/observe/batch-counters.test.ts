import { expect, test } from 'vitest'
import { Events } from '../../src/events.ts'
import { BatchCounters } from '../../src/observe/batch-counters.ts'

const batch = { batchId: 'b', description: null }

test('the counters add up callbacks, recoveries and refusals until they are closed', () => {
  const events = new Events()
  const counters = new BatchCounters(events)
  const emitAll = () => {
    events.emit('batch_callback_enqueued', { ...batch, event: 'success', jobClass: 'A', jobId: 'j' })
    events.emit('batch_discarded', batch)
    events.emit('batch_completed', batch)
    events.emit('batch_recovered', { ...batch, isFalseSuccess: false })
    events.emit('batch_healed', { ...batch, reason: 'hung' })
    events.emit('batch_unproven', { ...batch, reason: 'gone' })
    events.emit('batch_false_success', batch)
  }
  emitAll()
  emitAll()
  counters.close()
  emitAll()
  expect(counters.counts).toEqual({
    callbacks: { discard: 0, success: 2, finish: 0 },
    discarded: 2,
    completed: 2,
    recovered: 2,
    healed: { owed_success: 0, owed_discard: 0, hung: 2, unfinished: 0 },
    unproven: 2,
    falseSuccesses: 2,
  })
})

test('the returned counts are a copy', () => {
  const counters = new BatchCounters(new Events())
  const before = counters.counts
  expect(counters.counts).toEqual(before)
  expect(counters.counts).not.toBe(before)
  counters.close()
})
