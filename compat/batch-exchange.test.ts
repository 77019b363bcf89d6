import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type Adapter,
  Batch,
  Job,
  RubyBigDecimal,
  RubyDate,
  RubyDuration,
  RubyTimeWithZone,
  sym,
} from '../dist/index.js'
import { createBatch, fillBatch, type Member, type Side, type Wanted } from './batch-making.ts'
import { describeValue } from './node-batch-jobs.ts'
import { type NodeWorker, SWEEPS_OFTEN, startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const SIDES: readonly Side[] = ['Ruby', 'Node']
const PAIRS = SIDES.flatMap((first) => SIDES.map((second) => [first, second] as const))
const other = (side: Side): Side => (side === 'Ruby' ? 'Node' : 'Ruby')

const QUEUES = { Ruby: 'default', Node: 'node' } as const
const CALLBACKS = { Ruby: 'BatchCallbackJob', Node: 'Node::BatchCallbackJob' } as const
const READERS = { Ruby: 'BatchReaderJob', Node: 'Node::BatchReaderJob' } as const

const DESCRIPTION = 'für alle'

/** The same properties in either language. */
const IN_RUBY = `{
  user: 1, name: 'Ada', flag: true, nothing: nil, list: [1, 2.5, :a_symbol, [nil]], nested: { deep: { deeper: ['x', { last: 1 }] } },
  price: BigDecimal('12.5'), wait: 90.seconds, day: Date.new(2026, 1, 31), at: Time.utc(2026, 1, 31, 12).in_time_zone('UTC')
}`
const IN_NODE = {
  user: 1,
  name: 'Ada',
  flag: true,
  nothing: null,
  list: [1, 2.5, sym('a_symbol'), [null]],
  nested: { deep: { deeper: ['x', { last: 1 }] } },
  price: new RubyBigDecimal('12.5'),
  wait: RubyDuration.of({ seconds: 90 }),
  day: new RubyDate(2026, 1, 31),
  at: new RubyTimeWithZone(Date.UTC(2026, 0, 31, 12), { timeZone: 'Etc/UTC' }),
}

interface CallbackRow {
  readonly event: string
  readonly jobClass: string
  readonly queue: string
  readonly priority: number
  readonly error: string | null
}

/** $1 batch */
const SELECT_CALLBACKS = `
  SELECT serialized_params #>> '{arguments,1,event,value}' AS event, job_class AS "jobClass", queue_name AS queue, priority, error
  FROM good_jobs WHERE batch_callback_id = $1 ORDER BY event`

/** $1 batch · $2 callbacks that there must be. Ruby inserts them after the batch has ended, on Rails 7.2 and later. */
const SELECT_UNENDED = `
  SELECT FROM good_jobs WHERE (batch_id = $1 OR batch_callback_id = $1) AND finished_at IS NULL
  UNION ALL SELECT FROM good_job_batches WHERE id = $1 AND finished_at IS NULL
  UNION ALL SELECT WHERE (SELECT count(*) FROM good_jobs WHERE batch_callback_id = $1) < $2`

describeWithRuby('a batch that both languages work on', () => {
  let app: RailsApp
  let adapter: Adapter
  let node: NodeWorker
  const ended = new Map<string, readonly CallbackRow[]>()

  beforeAll(async () => {
    app = await bootRails()
    adapter = openAdapter(app, { globalidApp: 'shop' })
    Job.queueAdapter = adapter
    const options = [...SWEEPS_OFTEN, 'jobs/node-batch-jobs.js']
    const workers = [startNodeWorker(app, { jobs: 'both', options }), app.startWorker()] as const
    node = (await Promise.all(workers))[0]
  })

  afterAll(() => app.stop())

  const create = (by: Side, wanted: Wanted, properties?: Record<string, unknown>): Promise<string> =>
    createBatch(app, by, { description: DESCRIPTION, ...wanted }, properties)
  const fill = (by: Side, id: string, step: 'add' | 'enqueue', members: readonly Member[]): Promise<void> =>
    fillBatch(app, by, { id, step, members })

  /** The callbacks in the end; waits until `count` have run. */
  const callbacksAtEnd = async (id: string, count: number): Promise<readonly CallbackRow[]> => {
    await eventually(`batch ${id} has ended`, async () => {
      return (await app.pool.query(SELECT_UNENDED, [id, count])).rowCount === 0
    })
    const { rows } = await app.pool.query<CallbackRow>(SELECT_CALLBACKS, [id])
    ended.set(id, rows)
    return rows
  }

  const expectEvents = async (id: string, ...wanted: string[]): Promise<void> => {
    const callbacks = await callbacksAtEnd(id, wanted.length)
    expect(callbacks.map(({ event }) => event)).toEqual(wanted)
  }

  const sidesOf = async (names: readonly string[]): Promise<unknown[]> => {
    const seen = await Promise.all(names.map((name) => app.events('performed', { name })))
    return seen.map((events) => events.map(({ payload }) => payload.side))
  }

  /** Runs a batch to its end; returns what its only callback saw. */
  const readBy = async (by: Side, id: string) => {
    await fill(other(by), id, 'enqueue', [{ name: `of ${id}`, queue: QUEUES[other(by)] }])
    await expectEvents(id, 'success')
    const [read, ...more] = await app.events('batch_read', { batch_id: id })
    expect(more).toEqual([])
    return read?.payload
  }

  const inRuby = (expression: string) =>
    app.run<Record<string, unknown>>(`VectorValues.describe(VectorValues.round_trip(${expression}))`)
  const propertiesInRuby = (id: string) =>
    app.run<Record<string, unknown>>('VectorValues.describe(GoodJob::Batch.find(args[:id]).properties)', { id })

  describe('carries properties', () => {
    test('from Node to a callback in Ruby, whose own keys Node reads', async () => {
      const id = await create('Node', { onSuccess: READERS.Ruby }, IN_NODE)
      expect(await readBy('Ruby', id)).toMatchObject({
        side: 'ruby',
        event: 'success',
        description: DESCRIPTION,
        members: 1,
        properties: await inRuby(IN_RUBY),
      })
      const { properties } = await Batch.find(id)
      expect(describeValue(properties)).toBe(describeValue({ ...IN_NODE, read_in: 'ruby' }))
    })

    test('from Ruby to a callback in Node, whose own keys Ruby reads', async () => {
      const id = await app.run<string>(
        `GoodJob::Batch.new(description: args[:description], on_success: args[:on_success], **${IN_RUBY}).tap(&:save).id`,
        { description: DESCRIPTION, on_success: READERS.Node },
      )
      expect(await readBy('Node', id)).toMatchObject({
        side: 'node',
        event: 'success',
        description: DESCRIPTION,
        members: 1,
        properties: describeValue(IN_NODE),
      })
      expect(await propertiesInRuby(id)).toEqual(await inRuby(`${IN_RUBY}.merge(read_in: 'node')`))
    })

    test('whose inner keys stay strings, symbols or either when Node saves them', async () => {
      const mixed = `{ strings: { 'a' => { 'b' => 1 } }, symbols: { a: { b: 1 } }, both: { 'a' => 1, b: 2 },
        either: { a: 1 }.with_indifferent_access, list: [{ 'a' => 1 }, { a: 1 }] }`
      const id = await app.run<string>(`GoodJob::Batch.new(on_success: args[:on_success], **${mixed}).tap(&:save).id`, {
        on_success: READERS.Node,
      })
      await readBy('Node', id)
      expect(await propertiesInRuby(id)).toEqual(await inRuby(`${mixed}.merge(read_in: 'node')`))
    })

    test.each(PAIRS)('that are empty, from %s to %s', async (by, reader) => {
      const id = await create(by, { onSuccess: READERS[reader] })
      const properties = reader === 'Ruby' ? await inRuby('{}') : describeValue({})
      expect(await readBy(reader, id)).toMatchObject({ side: reader.toLowerCase(), properties })
    })
  })

  describe('has members', () => {
    test.each(PAIRS)('of both languages in four queues, made in %s, with callbacks in %s', async (by, callbacksIn) => {
      const id = await create(by, { onSuccess: CALLBACKS[callbacksIn], onFinish: CALLBACKS[callbacksIn] })
      const members: readonly Member[] = [
        { name: `${id} 1` },
        { name: `${id} 2`, queue: 'other' },
        { name: `${id} 3`, queue: 'node' },
        { name: `${id} 4`, jobClass: 'Node::MemberJob' },
        { name: `${id} 5`, queue: 'only_ruby' },
      ]
      await fill(by, id, 'enqueue', members)
      await expectEvents(id, 'finish', 'success')
      expect(await sidesOf(members.map(({ name }) => name))).toEqual([['ruby'], ['ruby'], ['node'], ['node'], ['ruby']])
      const sides = (await app.events('callback', { batch_id: id })).map(({ payload }) => payload.side)
      expect(sides).toEqual([callbacksIn.toLowerCase(), callbacksIn.toLowerCase()])
    })

    test.each(SIDES)('that %s adds before the other side adds more and enqueues', async (by) => {
      const id = await create(by, { onSuccess: CALLBACKS[by], onFinish: CALLBACKS[other(by)] })
      const names = ['first', 'second', 'third'].map((name) => `${id} ${name}`)
      const [first = '', second = '', third = ''] = names
      await fill(by, id, 'add', [{ name: first, queue: QUEUES[other(by)] }])
      await fill(other(by), id, 'add', [{ name: second, queue: QUEUES[by] }])
      await fill(other(by), id, 'enqueue', [{ name: third, queue: QUEUES[other(by)] }])
      await expectEvents(id, 'finish', 'success')
      expect(await sidesOf(names)).toEqual([other(by), by, other(by)].map((side) => [side.toLowerCase()]))
    })

    test.each(SIDES)('of a second stage, that the other side enqueues after %s did the first', async (by) => {
      const id = await create(by, { onSuccess: CALLBACKS[by], onFinish: CALLBACKS[by] })
      await fill(by, id, 'enqueue', [{ name: `${id} 1`, queue: QUEUES[by] }])
      await expectEvents(id, 'finish', 'success')
      await fill(other(by), id, 'enqueue', [{ name: `${id} 2`, queue: QUEUES[other(by)] }])
      await expectEvents(id, 'finish', 'finish', 'success', 'success')
    })
  })

  describe('calls a class', () => {
    const endIn = async (side: Side, wanted: Wanted): Promise<readonly CallbackRow[]> => {
      const id = await create(other(side), wanted)
      await fill(other(side), id, 'enqueue', [{ name: `${id} last`, queue: QUEUES[side] }])
      return callbacksAtEnd(id, Object.keys(wanted).filter((key) => /^on/.test(key)).length)
    }

    const CASES: readonly (readonly [string, Side, Wanted, Partial<CallbackRow>])[] = [
      [
        'that only Ruby has, from Node: in the default queue',
        'Node',
        { onSuccess: READERS.Ruby },
        { queue: 'default', priority: 0 },
      ],
      [
        'that only Ruby has, from Ruby: in its own queue',
        'Ruby',
        { onSuccess: READERS.Ruby },
        { queue: 'only_ruby', priority: 4 },
      ],
      [
        'that Node has, from Node: in its own queue',
        'Node',
        { onSuccess: READERS.Node },
        { queue: 'node', priority: 6 },
      ],
      [
        'that Node has and Ruby a stub of, from Ruby: in its own queue',
        'Ruby',
        { onSuccess: READERS.Node },
        { queue: 'node', priority: 6 },
      ],
      [
        'that Ruby has not even a stub of, from Ruby: Node enqueues it',
        'Ruby',
        { onSuccess: 'OnlyInNodeJob' },
        { queue: 'node', priority: 0 },
      ],
      ...SIDES.map(
        (side) =>
          [
            `where the batch says queue and priority, from ${side}`,
            side,
            { onSuccess: READERS.Ruby, callbackQueueName: 'other', callbackPriority: -3 },
            { queue: 'other', priority: -3 },
          ] as const,
      ),
    ]

    test.each(CASES)('%s', async (_name, endsIn, wanted, expected) => {
      expect(await endIn(endsIn, wanted)).toEqual([
        { event: 'success', jobClass: wanted.onSuccess, error: null, ...expected },
      ])
    })

    test.each(SIDES)(
      'that neither side has, from %s: that callback fails with an error that names it, the other one runs',
      async (side) => {
        const callbacks = await endIn(side, { onSuccess: 'NobodysJob', onFinish: CALLBACKS.Node })
        expect(callbacks).toMatchObject([
          { event: 'finish', error: null },
          { event: 'success', jobClass: 'NobodysJob', queue: 'default', error: expect.stringContaining('NobodysJob') },
        ])
      },
    )
  })

  test('and no callback is enqueued a second time, however often the batch is checked', async () => {
    await node.untilSwept(3)
    expect(ended.size).toBeGreaterThan(10)
    for (const [id, callbacks] of ended) expect(await callbacksAtEnd(id, callbacks.length)).toEqual(callbacks)
  })
})
