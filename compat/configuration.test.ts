import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { planCluster } from '../src/cluster/plan.ts'
import { inTurn } from '../test/support/clean-up.ts'
import type { RailsApp } from './rails-app.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const PAGE = readFileSync(new URL('../docs/configuration-of-goodjob.md', import.meta.url), 'utf8')

/** The first column of a table of the page. */
const named = (table: string): string[] => {
  const text = new RegExp(`<!-- ${table}: .*-->\\n([\\s\\S]*?)<!-- /${table} -->`).exec(PAGE)?.[1] ?? ''
  return [...text.matchAll(/^\| `(\w+)`/gm)].map(([, name = '']) => name)
}

/** Files of Ruby below the gem's lib/, as one text without comments. */
const sourceOf = (...globs: readonly string[]) =>
  `lib = File.join(Gem.loaded_specs['good_job'].full_gem_path, 'lib')
   ${JSON.stringify(globs)}.flat_map { |glob| Dir[File.join(lib, glob)] }
     .map { |path| File.read(path).gsub(/^\\s*#.*$/, '') }.join("\\n")`

/** [queues, subprocesses] */
const CLUSTERS: readonly (readonly [string, number])[] = [
  ['*', 0],
  ['*', 1],
  ['a;b:2', 2],
  ['a|b', 0],
  ['a|b', 5],
  [' a:1 | b,c:2;d |', 0],
  ['|a||b|', 1],
  ['a|', 0],
  ['a|', 2],
  ['+urgent,low:2;-mice:4;*', 3],
]

describeWithRuby('the configuration of GoodJob 4.23.1', () => {
  let app: RailsApp
  beforeAll(async () => {
    app = await bootRails()
  })
  afterAll(inTurn(() => app.stop()))

  test('each environment variable of the gem has its line in the page', async () => {
    const source = await app.run<string>(sourceOf('**/*.rb'))
    const variables = [...source.matchAll(/['"](GOOD_JOB_[A-Z_]+|RAILS_MAX_THREADS)['"]/g)].map(([, name]) => name)
    expect(new Set(variables).size).toBeGreaterThan(20)
    expect(named('variables')).toEqual([...new Set(variables)].sort())
  })

  test('each setting of the gem has its line in the page', async () => {
    const source = await app.run<string>(sourceOf('good_job/configuration.rb', 'good_job/engine.rb'))
    const read = source.matchAll(/\b(?:rails_config|options)(?:\[|\.key\?\():(\w+)/g)
    const deprecated = source.matchAll(/\b(?:options_key|rails_config_key): :(\w+)/g)
    const settings = new Set([...read, ...deprecated].map(([, name = '']) => name))
    expect(settings.size).toBeGreaterThan(25)
    expect(named('settings')).toEqual([...settings].sort())
  })

  test.each(CLUSTERS)('queues %j with %i subprocesses are the same processes', async (queues, subprocesses) => {
    const ruby = await app.run<string[] | null>(
      `configuration = GoodJob::Configuration.new({ queues: args[:queues], subprocesses: args[:subprocesses] })
       configuration.cluster? ? configuration.subprocess_configs.map(&:flattened_queue_string) : nil`,
      { queues, subprocesses },
    )
    const plan = planCluster({ queues, threads: 5, subprocesses, idleTimeout: undefined })
    expect(plan?.queues ?? null).toEqual(ruby)
  })
})
