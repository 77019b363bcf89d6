import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import type { Facts } from '../../src/sql/database.ts'
import { readFacts } from '../../src/sql/facts.ts'
import { createDatabase } from '../support/postgres.ts'
import { BATCH_SHAPES } from './shapes/batch.ts'
import { CLAIM_SHAPES } from './shapes/claim.ts'
import { CONCURRENCY_SHAPES } from './shapes/concurrency.ts'
import { CRON_SHAPES } from './shapes/cron.ts'
import { DEFERRED_SHAPES } from './shapes/deferred.ts'
import { JOB_SHAPES } from './shapes/jobs.ts'
import { OUTCOME_SHAPES } from './shapes/outcome.ts'
import { PROCESS_SHAPES } from './shapes/process.ts'
import type { Shape } from './shapes/shape.ts'

/** `npm run fix` writes the texts; every other run compares them. */
const WRITES = process.env.WRITE_STATEMENTS === '1'
const SHAPES = [
  ...CLAIM_SHAPES,
  ...DEFERRED_SHAPES,
  ...OUTCOME_SHAPES,
  ...CONCURRENCY_SHAPES,
  ...CRON_SHAPES,
  ...BATCH_SHAPES,
  ...JOB_SHAPES,
  ...PROCESS_SHAPES,
]
const FOLDER = join(import.meta.dirname, 'statements')
const SOURCES = join(import.meta.dirname, '../../src/sql')

const database = await createDatabase()
const pool = database.pool()
afterAll(() => database.drop())
const newest = await readFacts(pool)

/** The capabilities of GoodJob 4.0. */
const oldest: Facts = {
  ...newest,
  hasLockType: false,
  hasJobsFinishedAt: false,
  hasConcurrencyClaims: false,
  hasQueueDequeueIndex: false,
  hasDiscardedIndex: false,
}

/** The statements of a shape, each accepted by the server. */
const textOf = async ({ rows = [], send }: Shape, facts: Facts): Promise<string> => {
  const texts: string[] = []
  const client = await pool.connect()
  const own: Queryable = client
  const db: Queryable = {
    query: (statement) => {
      // The number in the name of a statement depends on the statements before it.
      texts.push(statement.text.trim().replace(/_\d+_executed/g, '_executed'))
      return own.query(statement)
    },
  }
  try {
    await client.query('BEGIN')
    for (const row of rows) await client.query(row)
    await send(db, facts)
  } finally {
    await client.query('ROLLBACK')
    await client.query('SELECT pg_advisory_unlock_all()')
    // A session prepares some statements itself; each shape begins without them.
    const { rows: ours } = await client.query('SELECT name FROM pg_prepared_statements WHERE from_sql')
    for (const { name } of ours) await client.query(`DEALLOCATE ${name}`)
    client.release()
  }
  return texts.map((text) => `${text};\n`).join('\n')
}

const fileOf = (name: string): string => join(FOLDER, `${name.replaceAll(', ', '.').replaceAll(' ', '-')}.sql`)
const goodJob40 = ({ name }: Shape): string => `${name}, GoodJob 4.0`

const compare = async (name: string, text: string): Promise<void> => {
  const file = fileOf(name)
  if (WRITES) {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }
  expect(existsSync(file), `${relative(FOLDER, file)} is missing: npm run fix writes it`).toBe(true)
  expect(text).toBe(readFileSync(file, 'utf8'))
}

if (WRITES) rmSync(FOLDER, { recursive: true, force: true })

describe('the text of each statement is the stored one (npm run fix)', () => {
  test.each(SHAPES)('$name', async (shape) => {
    const text = await textOf(shape, newest)
    expect(text).not.toBe('')
    await compare(shape.name, text)
    const older = shape.isSameIn40 === true ? text : await textOf(shape, oldest)
    if (older === text || older === '') expect(existsSync(fileOf(goodJob40(shape)))).toBe(false)
    else await compare(goodJob40(shape), older)
  })
})

test('every stored text belongs to a statement', () => {
  const stored = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.sql'))
  const known = new Set(SHAPES.flatMap((shape) => [fileOf(shape.name), fileOf(goodJob40(shape))]))
  expect(stored.filter((path) => !known.has(join(FOLDER, path)))).toEqual([])
})

test('every function of sql/ that sends a statement about the tables has a stored text', async () => {
  const folders = ['.', 'batch', 'claim', 'concurrency', 'jobs', 'outcome', 'process']
  const files = folders.flatMap((folder) =>
    readdirSync(join(SOURCES, folder))
      .filter((name) => name.endsWith('.ts') && name !== 'facts.ts')
      .map((name) => join(folder, name)),
  )
  const covered = new Set(SHAPES.map(({ of }) => of))
  const senders: string[] = []
  for (const file of [...files, 'deferred/statements.ts']) {
    const exports: Record<string, unknown> = await import(join(SOURCES, file))
    const functions = Object.entries(exports).filter(([, value]) => typeof value === 'function')
    const sending = functions.filter(([, value]) => isSender(value, file) && !covered.has(value))
    senders.push(...sending.map(([name]) => `${file}: ${name}`))
  }
  expect(covered.size).toBeGreaterThan(70)
  expect(senders).toEqual([])
})

/** The first parameter is where a statement is sent; those of deferred starts are returned, as another thread sends them. */
const isSender = (value: unknown, file: string): boolean =>
  file.startsWith('deferred/') || /^(async )?\((db|lane)\b/.test(String(value))
