import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const page = readFileSync(join(ROOT, 'docs/where.md'), 'utf8')

/** Lines of tables, without their heads and the lines below the heads. */
const lines = page.split('\n').filter((line) => line.startsWith('|') && !/^\| (question|-+) +\|/.test(line))
const rows = lines.flatMap((line) => {
  const [, question, file, name] = /^\| (Where [^|]+\?) +\| `([^`]+)` +\| `([^`]+)` +\|$/.exec(line) ?? []
  return question && file && name ? [{ question, file, name }] : []
})

describe('docs/where.md', () => {
  test('names a file and an exported name for each of at least thirty questions', () => {
    expect(rows).toHaveLength(lines.length)
    expect(rows.length).toBeGreaterThanOrEqual(30)
    expect(new Set(rows.map(({ question }) => question)).size).toBe(rows.length)
  })

  test.each(rows)('$question', ({ file, name }) => {
    const path = join(ROOT, 'src', file)
    expect(existsSync(path), `src/${file} exists`).toBe(true)
    const declaration = `^export (?:abstract )?(?:class|const|function|interface|type) ${name}\\b`
    expect(readFileSync(path, 'utf8')).toMatch(new RegExp(declaration, 'm'))
  })
})
