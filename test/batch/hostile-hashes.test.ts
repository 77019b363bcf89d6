import { afterAll, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { JOB_STATES, jobStateFilterSql } from '../../src/sql/jobs/states.ts'
import { openWorld, paramsOf, type Row } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

/** A discarded member whose hash has these keys, or is this. */
const discarded = (batch: Batch, params: Row | string, more: Row = {}): Promise<string> => {
  const hash = typeof params === 'string' ? params : JSON.stringify({ ...paramsOf('MemberJob', batch.id), ...params })
  return world.insert({
    batch_id: batch.id,
    serialized_params: hash,
    finished_at: new Date(),
    error: 'Error: no',
    error_event: 2,
    ...more,
  })
}

test('a member whose hash lacks valid integers does not keep the others from a retry, and is retried as in Ruby', async () => {
  const batch = await new Batch().save()
  const cases: readonly (readonly [params: Row | string, priority: number, executions: unknown, more?: Row])[] = [
    [{ priority: 'high' }, 0, 1],
    [{ priority: '12th', executions: 2 }, 12, 3],
    [{ priority: -7.9, executions: null }, -7, 1],
    [{ priority: 99_999_999_999, executions: 99_999_999_999 }, 4, 1, { priority: 4 }],
    [{ priority: '0000000000012', executions: 'three' }, 12, 1],
    [{ priority: { a: 1 }, executions: [1] }, 0, 1],
    ['[1]', 0, undefined],
    ['"text"', 0, undefined],
    ['null', 0, undefined],
    [{ priority: 5, executions: 1 }, 5, 2],
  ]
  const ids = await Promise.all(cases.map(([params, , , more]) => discarded(batch, params, more)))
  await world.adapter.discardJob(await world.insert({ batch_id: batch.id }))
  const { retriedJobIds } = await batch.retry({ force: true })
  expect(retriedJobIds).toHaveLength(ids.length + 1)
  for (const [index, [params, priority, executions]] of cases.entries()) {
    const row = await world.job(ids[index] ?? '')
    const hash = row.serialized_params as Row | null
    expect({ priority: row.priority, executions: hash?.executions, finished: row.finished_at }, String(params)).toEqual(
      {
        priority,
        executions,
        finished: null,
      },
    )
    if (typeof params === 'string') expect(hash).toEqual(JSON.parse(params))
  }
})

test.each(JOB_STATES)('jobs that are %s are found beside rows whose hash holds no integer', async (state) => {
  for (const executions of ['"three"', '1.5', '99999999999', '{}', 'null']) {
    const scheduled_at = new Date(Date.now() + 3_600_000)
    await world.insert({ scheduled_at, serialized_params: `{"executions": ${executions}}` })
  }
  await expect(
    world.sql(
      `SELECT id FROM good_jobs WHERE $1::timestamp IS NOT NULL AND ${jobStateFilterSql(state, '$1::timestamp')}`,
      [new Date()],
    ),
  ).resolves.toBeDefined()
})
