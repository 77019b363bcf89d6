import { expect, test } from 'vitest'
import type { Candidate } from '../../src/perform/limits/rule-book.ts'
import { Model, randomOf } from './model.ts'
import { candidate, rule } from './rows.ts'

/** Classes that share scopes under different limits. */
const CLASSES: Readonly<Record<string, (n: number) => Candidate['rules']>> = {
  NarrowJob: (n) => [rule(`key:${n % 3}`, 1), rule('label:api', 3)],
  WideJob: () => [rule('label:api', 5)],
  AllJob: (n) => [rule('all', 6), rule(`key:${n % 3}`, 2)],
  FreeJob: () => [],
}

const randomJob = (random: (end: number) => number, n: number): Candidate => {
  const job_class = Object.keys(CLASSES)[random(4)] as string
  const rules = CLASSES[job_class]?.(random(9)) ?? []
  // The columns of some rows do not show what a function of the class computes.
  const hidden = random(10) === 0 ? { labels: null, concurrency_key: null } : {}
  return candidate(`job ${n}`, random(500), rules, { job_class, priority: random(3), ...hidden })
}

test.each(Array.from({ length: 60 }, (_, seed) => seed + 1))(
  'whatever happens, no job waits beside a free place, and all of them run in the end (seed %i)',
  (seed) => {
    const random = randomOf(seed)
    const model = new Model(random)
    const anyOf = (jobs: ReadonlyMap<string, Candidate>) => [...jobs.keys()][random(Math.max(1, jobs.size))] ?? ''
    for (let step = 0; step < 150; step++) {
      const action = random(10)
      if (action < 5) model.enqueue(randomJob(random, step))
      else if (action < 9) model.finish(anyOf(model.running))
      else model.startElsewhere(anyOf(model.waiting))
      if (random(2) === 0) continue
      model.run(1 + random(4))
      expect([...model.waiting.values()].filter((job) => model.isAdmissible(job))).toEqual([])
    }
    while (model.running.size > 0 || model.waiting.size > 0) {
      model.finish(anyOf(model.running))
      model.wake()
      model.run(3)
    }
    expect(model.list.size).toBe(0)
  },
)
