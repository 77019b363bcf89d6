import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')

/** A file imports its own folder and the layers before its own; `src/*.ts` is the first layer, but for index.ts and cli.ts. */
const LAYERS: readonly (readonly string[])[] = [
  ['.', 'schedule'],
  ['serialize'],
  ['job'],
  ['sql'],
  ['concurrency'],
  ['enqueue'],
  ['batch'],
  ['claim'],
  ['perform'],
  ['cron'],
  ['isolation', 'maintenance'],
  ['observe', 'probe'],
  ['worker'],
  ['cluster'],
  ['index.ts'],
  ['demo'],
  ['cli'],
  ['cli.ts'],
]

const MAX_LINES = 300
/** More than this and a folder is searched, not read. */
const MAX_FILES = 16

/** Every file of the repository, also those that are not committed yet. */
const files = execFileSync(
  'git',
  ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
  { cwd: ROOT },
)
  .toString()
  .split('\0')
  .filter((path, index, all) => path !== '' && all.indexOf(path) === index)
  .flatMap((path) => {
    const text = readIfThere(join(ROOT, path))
    return text === undefined || text.includes('\0') ? [] : [{ path, text, code: withoutComments(text) }]
  })

const sources = files.filter(({ path }) => path.startsWith('src/') && path.endsWith('.ts'))
const sourcePaths = new Set(sources.map(({ path }) => path))

const IMPORT = /(?:^|\n)\s*(?:(?:import|export)\s[^'"`;=]*?from|import)\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g

/** The files of src/ that a file imports or re-exports, types too. */
const importsOf = ({ path, code }: { path: string; code: string }): string[] =>
  [...code.matchAll(IMPORT)]
    .map(([, from, dynamic]) => from ?? dynamic ?? '')
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => join(dirname(path), specifier))

const layerOf = (path: string): number => {
  const [name, ...rest] = relative('src', path).split('/')
  const isTop = rest.length === 0
  return LAYERS.findIndex((names) => names.includes(name ?? '') || (isTop && names.includes('.') && !isNamed(name)))
}

const isNamed = (name: string | undefined): boolean => LAYERS.flat().includes(name ?? '')

describe('layers', () => {
  test('every file of src/ belongs to one', () => {
    expect(sources.filter(({ path }) => layerOf(path) === -1).map(({ path }) => path)).toEqual([])
  })

  test('a file imports only files that exist, in its own folder or in a lower layer', () => {
    const forbidden = sources.flatMap((file) =>
      importsOf(file)
        .filter((target) => !isAllowed(file.path, target))
        .map((target) => `${file.path} imports ${target}`),
    )
    expect(forbidden).toEqual([])
  })

  test('the rules see what they forbid', () => {
    expect(isAllowed('src/claim/lane.ts', 'src/sql/jobs.ts', true)).toBe(true)
    expect(isAllowed('src/claim/lane.ts', 'src/claim/queue-string.ts', true)).toBe(true)
    expect(isAllowed('src/sql/jobs.ts', 'src/errors.ts', true)).toBe(true)
    expect(isAllowed('src/cli.ts', 'src/demo/demo.ts', true)).toBe(true)
    expect(isAllowed('src/sql/jobs.ts', 'src/claim/lane.ts', true)).toBe(false)
    expect(isAllowed('src/cron/entry.ts', 'src/maintenance/cleanup.ts', true)).toBe(false)
    expect(isAllowed('src/errors.ts', 'src/job/base.ts', true)).toBe(false)
    expect(isAllowed('src/worker/capsule.ts', 'src/index.ts', true)).toBe(false)
    expect(isAllowed('src/claim/lane.ts', 'src/sql/no-such-file.ts')).toBe(false)
    const code = `import a from './a.ts'\nimport type {\n  B,\n} from '../b.ts'\nexport { c } from './c.ts'\nawait import('./d.ts')`
    expect(importsOf({ path: 'src/x/y.ts', code: `${code}\nimport './e.ts'` })).toEqual([
      'src/x/a.ts',
      'src/b.ts',
      'src/x/c.ts',
      'src/x/d.ts',
      'src/x/e.ts',
    ])
  })

  test('nothing that perform/attempt/execution.ts reaches is in sql/, since it also runs where there is no database', () => {
    expect(pathToSql('src/perform/attempt/execution.ts')).toBeUndefined()
  })
})

test('every transaction begins with the level of isolation that sql/transaction/read-committed.ts pins', () => {
  const begins = files.filter(
    ({ path, code }) => /^src\/.*\.(ts|js)$/.test(path) && /['"`]\s*(BEGIN|START TRANSACTION)\b/i.test(code),
  )
  expect(begins.map(({ path }) => path)).toEqual(['src/sql/transaction/read-committed.ts'])
})

test('no name is exported by two files', () => {
  const EXPORT = /^export (?:declare )?(?:abstract )?(?:async )?(?:const|class|function\*?|interface|type|let) (\w+)/gm
  const exporters = new Map<string, Set<string>>()
  for (const { path, code } of sources.filter(({ path }) => path !== 'src/index.ts')) {
    for (const [, name = ''] of code.matchAll(EXPORT)) {
      exporters.set(name, (exporters.get(name) ?? new Set()).add(path))
    }
  }
  expect(exporters.size).toBeGreaterThan(400)
  expect([...exporters].filter(([, paths]) => paths.size > 1).map(([name, paths]) => [name, ...paths])).toEqual([])
})

test('no circle among the imports that exist at run time', () => {
  const runTime = /(?:^|\n)\s*(?:import|export)\s(?!type\b)([^'"`;=]*?)from\s*'(\.[^']+)'/g
  const isValue = (names = ''): boolean =>
    !names.includes('{') || /\{[^}]*?(?:^|[{,])\s*(?!type\b)\w/.test(names.replace(/\s+/g, ' '))
  const edges = new Map(
    sources.map(({ path, code }) => [
      path,
      [...code.matchAll(runTime)]
        .filter(([, names]) => isValue(names))
        .map(([, , from = '']) => join(dirname(path), from)),
    ]),
  )
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (path: string, chain: readonly string[]): void => {
    if (chain.includes(path)) circles.push([...chain.slice(chain.indexOf(path)), path].join(' → '))
    if (done.has(path) || chain.includes(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...chain, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  expect(edges.get('src/claim/lane.ts')?.length).toBeGreaterThan(3)
  expect(circles).toEqual([])
})

test('the name of a prepared statement is derived from its text, by sql/text.ts', () => {
  const named = /\bname: [^,{}]+,\s*text\b/
  const writers = files.filter(({ path, code }) => /^src\/.*\.(ts|js)$/.test(path) && named.test(code))
  expect(writers.map(({ path }) => path)).toEqual(['src/sql/text.ts'])
})

const isAllowed = (from: string, to: string, exists = sourcePaths.has(to)): boolean => {
  if (!exists) return false
  return folderOf(from) === folderOf(to) || layerOf(to) < layerOf(from) || (layerOf(to) === 0 && layerOf(from) === 0)
}

/** The folder below src/; for a file of src/ itself, its name. */
const folderOf = (path: string): string | undefined => relative('src', path).split('/')[0]

/** The chain of imports from a file to sql/, if there is one. */
const pathToSql = (start: string): string | undefined => {
  const chains = [[start]]
  const seen = new Set([start])
  for (let chain = chains.shift(); chain !== undefined; chain = chains.shift()) {
    const last = chain.at(-1) ?? ''
    if (last.startsWith('src/sql/')) return chain.join(' → ')
    const file = sources.find(({ path }) => path === last)
    for (const next of file ? importsOf(file) : []) {
      if (seen.has(next)) continue
      seen.add(next)
      chains.push([...chain, next])
    }
  }
  return undefined
}

test(`no folder of src/ holds more than ${MAX_FILES} files`, () => {
  const folders = new Map<string, number>()
  for (const { path } of files.filter(({ path }) => path.startsWith('src/'))) {
    folders.set(dirname(path), (folders.get(dirname(path)) ?? 0) + 1)
  }
  expect(folders.size).toBeGreaterThan(10)
  expect([...folders].filter(([, count]) => count > MAX_FILES)).toEqual([])
})

describe('code', () => {
  const outsideSql = sources.filter(({ path }) => !/^src\/(sql|demo)\//.test(path))

  test('talks to Postgres only in sql/ and in the demo: no query elsewhere', () => {
    expect(linesWith(outsideSql, /\.query\(/)).toEqual([])
  })

  test('is SQL only in sql/ and in the demo', () => {
    const statement =
      /[`'"]\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|LISTEN|NOTIFY|CREATE|ALTER|DROP|BEGIN|COMMIT)\s/
    expect(outsideSql.filter(({ code }) => statement.test(code)).map(({ path }) => path)).toEqual([])
  })

  test(`has no file of more than ${MAX_LINES} lines`, () => {
    const long = files
      .filter(({ path }) => /\.[mc]?[jt]s$/.test(path))
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > MAX_LINES)
    expect(long).toEqual([])
  })

  // The threads, which cannot import TypeScript, clamp where they set one.
  test('sets timers by way of time.ts alone, which knows how long one can be', () => {
    const others = sources.filter(({ path }) => path.endsWith('.ts') && path !== 'src/time.ts')
    expect(linesWith(others, /\bset(Timeout|Interval)(\(| as )/)).toEqual([])
  })

  test('re-exports nothing wholesale', () => {
    expect(linesWith(sources, /^export \*/)).toEqual([])
  })

  test('cleans up after tests with inTurn, which does all of it, also when a step fails', () => {
    const tests = files.filter(
      ({ path }) => /^(test|compat)\/.*\.ts$/.test(path) && path !== 'test/architecture.test.ts',
    )
    expect(linesWith(tests, /\bafter(All|Each)\(async\b/)).toEqual([])
  })

  test('has no test that is left out', () => {
    const tests = files.filter(({ path }) => /^test\/.*\.ts$/.test(path) && path !== 'test/architecture.test.ts')
    expect(linesWith(tests, /\b(test|it|describe|suite)(\.\w+)*\.(skip|only|todo|skipIf|runIf|fails)\b/)).toEqual([])
  })
})

describe('the repository', () => {
  test('stands alone: no path in it leads out of it', () => {
    expect(files.flatMap(pathsThatLeave)).toEqual([])
  })

  test('a path that leads out is seen in each form', () => {
    // In pieces, as below.
    const up = '..'
    const text = (code: string) => pathsThatLeave({ path: 'test/support/a.ts', text: code })
    expect(text(`new URL('${up}/${up}/schema.sql')\njoin(here, '${up}', '${up}', 'src')\n...rest\n1../2`)).toEqual([])
    expect(text(`new URL('${up}/${up}/${up}/data/')`)).toEqual([`test/support/a.ts: ${up}/${up}/${up}/data/`])
    expect(text(`join(here, '${up}', '${up}/${up}', 'data')`)).toEqual([`test/support/a.ts: ${up}/${up}/${up}/data`])
  })

  // In pieces, so that this file does not find itself.
  const words = [
    ['/wo', 'rk/'],
    ['/ro', 'ot/'],
    ['/tm', 'p/gj'],
    ['registry.', 'npmjs'],
    ['npmjs', '.com'],
    ['rubygems', '.org'],
    ['debian', '.org'],
    ['pypi', '.org'],
    ['assis', 'tant'],
    ['sub', 'agent'],
    ['clau', 'de'],
    ['anthro', 'pic'],
  ].map((pieces) => pieces.join(''))

  test.each(words)('does not mention %s', (word) => {
    const texts = files.map(({ path, text }) => ({ path, code: text }))
    expect(linesWith(texts, new RegExp(word.replaceAll('.', '\\.'), 'i'))).toEqual([])
  })
})

/** The relative paths of a file's text, also those in arguments of `join`, that lead out of the repository. */
function pathsThatLeave({ path, text }: { path: string; text: string }): string[] {
  const joined = text.replaceAll(/(?<=\.\.\/?)['"],\s*['"]/g, '/')
  return [...joined.matchAll(/(?<![\w./])(?:\.\.\/+)+[\w./-]*/g)]
    .map(([relativePath]) => relativePath)
    .filter((relativePath) => join(dirname(path), relativePath).startsWith('..'))
    .map((relativePath) => `${path}: ${relativePath}`)
}

const linesWith = (among: readonly { path: string; code: string }[], pattern: RegExp): string[] =>
  among.flatMap(({ path, code }) =>
    code.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  )

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Blanks block comments, where prose may look like code, and keeps the numbers of the lines. */
function withoutComments(text: string): string {
  return text.replace(/\/\*\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
}
