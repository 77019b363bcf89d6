import { afterAll, describe, expect, test } from 'vitest'
import { isRetryable, sqlState } from '../../src/errors.ts'
import { isoText, type Queryable, rowsOf } from '../../src/sql/connection/queryable.ts'
import { JOB_STATES, jobStateFilterSql, jobStateSql } from '../../src/sql/jobs/states.ts'
import { ago, openWorld, type Row } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

describe('rows', () => {
  test.each([
    ['2026-01-31 12:00:00', '2026-01-31T12:00:00Z'],
    ['2026-01-31 12:00:00.1', '2026-01-31T12:00:00.1Z'],
    ['2026-01-31 12:00:00.123456', '2026-01-31T12:00:00.123456Z'],
    ['12026-01-31 12:00:00.5', '12026-01-31T12:00:00.5Z'],
    ['2026-01-31 12:00:00+00', '2026-01-31T12:00:00Z'],
    ['2026-01-31 12:00:00.123456+00', '2026-01-31T12:00:00.123456Z'],
    ['2026-01-31 21:00:00.123456+09', '2026-01-31T12:00:00.123456Z'],
    ['2026-01-31 08:30:00-03:30', '2026-01-31T12:00:00Z'],
    ['infinity', 'infinity'],
    ['-infinity', '-infinity'],
    ['4000-01-01 00:00:00 BC', '4000-01-01 00:00:00 BC'],
  ])('the time %s is %s [GJ-005]', (text, expected) => {
    expect(isoText(text)).toBe(expected)
  })

  test.each(['UTC', 'Asia/Tokyo', 'America/St_Johns'])(
    'times keep their microseconds and JSON its digits in a session of %s [GJ-005]',
    async (zone) => {
      const client = await world.database.connect()
      await client.query(`SET TimeZone TO '${zone}'`)
      const rows = await rowsOf(client as unknown as Queryable, {
        text: `SELECT $1::timestamp AS local, $2::timestamptz AS zoned, '{"n":12345678901234567890}'::jsonb AS json`,
        values: ['2026-01-31T12:00:00.123456Z', '2026-01-31T12:00:00.123456Z'],
      })
      expect(rows).toEqual([
        {
          local: '2026-01-31T12:00:00.123456Z',
          zoned: '2026-01-31T12:00:00.123456Z',
          json: '{"n": 12345678901234567890}',
        },
      ])
      await client.end()
    },
  )
})

describe('errors of Postgres', () => {
  const coded = (code: string, message = '') => Object.assign(new Error(message), { code })
  test.each<[unknown, boolean]>([
    [coded('57P01'), true],
    [coded('40P01'), true],
    [coded('53300'), true],
    [coded('53100'), true],
    [coded('57014'), true],
    [coded('ECONNREFUSED'), true],
    [coded('EPIPE'), true],
    [new Error('Connection terminated unexpectedly'), true],
    [new Error('Query read timeout'), true],
    [new AggregateError([coded('ECONNREFUSED')]), true],
    [coded('42501'), false],
    [coded('22P05'), false],
    [coded('EACCES'), false],
    [new Error('boom'), false],
    ['57P01', false],
    [undefined, false],
  ])('%s is worth another try: %s', (error, expected) => {
    expect(isRetryable(error)).toBe(expected)
  })

  test('a SQLSTATE is distinguished from the error codes of Node', () => {
    expect([sqlState(coded('23505')), sqlState(coded('ENOENT')), sqlState(coded('EPIPE')), sqlState(null)]).toEqual([
      '23505',
      undefined,
      undefined,
      undefined,
    ])
  })
})

test('the badge and the tabs of each state are the same as in the dashboard', async () => {
  const future = { scheduled_at: ago(-3_600) }
  const hash = (executions: number) => ({ serialized_params: `{"executions":${executions}}` })
  const finished = { performed_at: ago(5), finished_at: ago(4) }
  const cases: Record<string, [row: Row, badge: string, tabs: string[]]> = {
    waiting: [{}, 'queued', ['queued']],
    future: [{ ...future, ...hash(0) }, 'scheduled', ['scheduled']],
    'first retry': [{ ...future, ...hash(1), error: 'E: x' }, 'retried', ['scheduled']],
    'second retry': [{ ...future, ...hash(2), error: 'E: x' }, 'retried', ['retried']],
    running: [{ performed_at: ago(5) }, 'running', ['running']],
    'running ahead of its time': [{ ...future, ...hash(0), performed_at: ago(5) }, 'running', ['scheduled', 'running']],
    succeeded: [finished, 'succeeded', ['succeeded']],
    discarded: [{ ...finished, error: 'E: x' }, 'discarded', ['discarded']],
    'finished with an empty error': [{ ...finished, error: '' }, 'succeeded', ['discarded']],
    'hash without executions': [{ ...future, serialized_params: '{}' }, 'scheduled', []],
    'without a time': [{ scheduled_at: null }, 'queued', []],
  }
  for (const [name, [row, badge, tabs]] of Object.entries(cases)) {
    const id = await world.insert(row)
    const columns = JOB_STATES.map((state) => `(${jobStateFilterSql(state, '$2')}) IS TRUE AS ${state}`).join(', ')
    const [seen] = await world.sql<Record<string, unknown>>(
      `SELECT ${jobStateSql('$2')} AS badge, ${columns} FROM good_jobs WHERE id = $1 AND $2::timestamp IS NOT NULL`,
      [id, ago(0)],
    )
    expect({ badge: seen?.badge, tabs: JOB_STATES.filter((state) => seen?.[state] === true) }, name).toEqual({
      badge,
      tabs,
    })
  }
})
