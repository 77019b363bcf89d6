import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { ConfigurationError } from '../../src/errors.ts'
import { TestAdapter } from '../../src/job/adapters/test-adapter.ts'
import { Job, type JobConstructor } from '../../src/job/base.ts'
import { JobRegistry } from '../../src/job/definition/registry.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'

/** A class as a build tool may rename it: with this name, or with `static jobClass`. */
const built = (name: string, declared?: object): JobConstructor => {
  const made = class extends Job {
    perform() {}
  }
  Object.defineProperty(made, 'name', { value: name })
  return Object.assign(made, declared)
}

const BUILT_NAMES = ['', 'o', 'Ab', 'A1', 'A12', '_WelcomeJob', 'WelcomeJob$1', 'default', 'jobs_default', 'e$', '$']

describe.each(BUILT_NAMES)('a class that a build tool renamed to "%s"', (name) => {
  test('is refused when registered, enqueued alone or in bulk, and as a batch callback', async () => {
    const adapter = new Adapter({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none' })
    const Built = built(name)
    Built.queueAdapter = new TestAdapter()
    const refusal = /Add static jobClass = .…. to the class \(class extends /
    expect(() => new JobRegistry().register(Built)).toThrow(ConfigurationError)
    expect(() => new JobRegistry().register(Built)).toThrow(refusal)
    await expect(Built.performLater()).rejects.toThrow(refusal)
    await expect(performAllLater([new Built()])).rejects.toThrow(refusal)
    for (const event of ['onSuccess', 'onFinish', 'onDiscard'])
      expect(() => new Batch({ [event]: Built }, adapter)).toThrow(refusal)
  })

  test('is accepted with static jobClass', async () => {
    const Built = built(name, { jobClass: 'WelcomeJob' })
    Built.queueAdapter = new TestAdapter()
    expect(new JobRegistry().register(Built).names()).toEqual(['WelcomeJob'])
    expect(await Built.performLater()).toMatchObject({ jobClass: 'WelcomeJob', successfullyEnqueued: true })
  })
})

test.each(['WelcomeJob', 'PDF', 'ÜberweisungJob', 'Mail2Job', 'Mail_Job'])(
  'the name %s is recognized as written by a person',
  (name) => {
    expect(new JobRegistry().register(built(name)).names()).toEqual([name])
  },
)

test('a subclass without a name of its own does not inherit static jobClass', () => {
  class MailJob extends Job {
    static override jobClass = 'Post::MailJob'
    perform() {}
  }
  const Built = class extends MailJob {}
  Object.defineProperty(Built, 'name', { value: 'o' })
  expect(() => new JobRegistry().register(Built)).toThrow(/"o" is not a usable name for a job class/)
})

describe('former names', () => {
  test('belong to their class and not to its subclasses', () => {
    const Mail = built('MailJob', { formerNames: ['OldMailJob', 'o', 'MailJob'] })
    const Urgent = class UrgentMailJob extends Mail {
      perform() {}
    }
    const registry = new JobRegistry().register(Mail).register(Urgent).register(Mail)
    expect(registry.names()).toEqual(['MailJob', 'OldMailJob', 'o', 'UrgentMailJob'])
    for (const name of ['MailJob', 'OldMailJob', 'o']) expect(registry.get(name)).toBe(Mail)
  })

  test.each<[string, object, object]>([
    ['the name of another class', {}, { formerNames: ['MailJob'] }],
    ['a former name of another class', { formerNames: ['OldJob'] }, { formerNames: ['OldJob'] }],
    ['a declared name of another class', { jobClass: 'OldJob' }, { formerNames: ['OldJob'] }],
  ])('are refused when they are %s, whichever comes first', (_what, one, other) => {
    const pair = [built('MailJob', one), built('OtherJob', other)] as const
    const refusal =
      /Two job classes claim the name "(MailJob|OldJob)": (MailJob and OtherJob|OtherJob and MailJob); remove it from/
    expect(() => new JobRegistry().register(pair[0]).register(pair[1])).toThrow(refusal)
    expect(() => new JobRegistry().register(pair[1]).register(pair[0])).toThrow(refusal)
  })

  test('of a refused class are not registered', () => {
    const registry = new JobRegistry().register(built('MailJob'))
    expect(() => registry.register(built('OtherJob', { formerNames: ['OldJob', 'MailJob'] }))).toThrow()
    expect(registry.names()).toEqual(['MailJob'])
  })

  test.each([['OldJob'], [[1]], [['']], [null]])('must be a list of names, not %j', (formerNames) => {
    expect(() => new JobRegistry().register(built('MailJob', { formerNames }))).toThrow(
      /MailJob: static formerNames is a list of names such as \['OldMailJob'\]/,
    )
  })
})

describe('static fields that look like options but are unknown', () => {
  test.each<[string, RegExp]>([
    ['queue', /static queue is not an option of Job; write static queueAs = 'mail'/],
    ['queue_as', /static queue_as is not an option of Job; write static queueAs/],
    ['maxAttempts', /static maxAttempts is not an option of Job; write this\.retryOn\(SomeError, \{ attempts: 5 \}\)/],
    ['retries', /this\.retryOn/],
    ['concurrency', /static concurrency is not an option of Job; the number of jobs at a time is the worker's/],
    ['job_class', /static job_class is not an option of Job; write static jobClass/],
  ])('%s is refused where the class is registered and enqueued', async (name, refusal) => {
    const Mistaken = built('MailJob', { [name]: 'mail' })
    Mistaken.queueAdapter = new TestAdapter()
    expect(() => new JobRegistry().register(Mistaken)).toThrow(refusal)
    await expect(Mistaken.performLater()).rejects.toThrow(refusal)
    expect(() =>
      new JobRegistry().register(
        class OtherJob extends Mistaken {
          perform() {}
        },
      ),
    ).toThrow(refusal)
  })

  test('do not include methods', () => {
    class MailJob extends Job {
      static queue(): string {
        return 'mail'
      }
      perform() {}
    }
    expect(new JobRegistry().register(MailJob).names()).toEqual(['MailJob'])
  })
})

describe('a value that is no job class', () => {
  class MailJob extends Job {
    perform() {}
  }
  abstract class BaseJob extends Job {}
  const ArrowJob = class ArrowJob extends (Job as never as JobConstructor) {
    override perform = async () => {}
  } as never as JobConstructor

  test.each<[string, unknown, RegExp]>([
    ['an instance', new MailJob(), /^This value is an instance of MailJob: pass the class$/],
    ['a function', function send() {}, /^This value is not a job class: the function send does not extend Job$/],
    ['an arrow function', () => {}, /^This value is not a job class: the function without a name does not extend Job$/],
    ['another class', class Mailer {}, /^This value is not a job class: the class Mailer does not extend Job$/],
    ['undefined', undefined, /^This value is undefined: .*no two modules import each other/],
    ['Job itself', Job, /^This value is Job itself: pass the classes that extend it$/],
    ['a text', 'MailJob', /^This value is not a job class, but 'MailJob'$/],
    ['an object', { MailJob }, /^This value is not a job class, but \{ MailJob: \[class MailJob extends Job\] \}$/],
    ['a class without perform', BaseJob, /^BaseJob cannot be run: it has no perform method$/],
    ['perform as a field', ArrowJob, /^ArrowJob cannot be run: its perform is a field: write it as a method/],
  ])('%s is refused by what it is', (_what, value, refusal) => {
    expect(() => new JobRegistry().register(value as JobConstructor)).toThrow(refusal)
    expect(() => new JobRegistry().register(value as JobConstructor)).toThrow(ConfigurationError)
  })

  test('a class from another copy of this package is refused for that reason', () => {
    class OtherCopy {
      static performLater() {}
    }
    expect(() => new JobRegistry().register(OtherCopy as never)).toThrow(
      /^This value is OtherCopy, which extends the Job of another copy of good-job-node; leave good-job-node out of the bundle/,
    )
  })
})

describe('error classes of retryOn, discardOn and rescueFrom', () => {
  class o extends Error {}
  class d extends Error {
    static rubyName = 'MailError'
  }
  const declare = (declaration: 'retryOn' | 'discardOn' | 'rescueFrom', errors: unknown, options: object = {}) => {
    class MailJob extends Job {
      perform() {}
    }
    if (declaration === 'rescueFrom') MailJob.rescueFrom(errors as never, () => {})
    else MailJob[declaration](errors as never, options)
  }

  test('a retry counter with a name from a build tool is refused, unless the error class or the declaration names it', () => {
    expect(() => declare('retryOn', o)).toThrow(/^retryOn: "o" is not a usable name for an error class with a counter/)
    expect(() => declare('retryOn', [TypeError, class extends Error {}])).toThrow(/^retryOn: "" is not a usable name/)
    expect(() => declare('retryOn', o, { key: '[MailError]' })).not.toThrow()
    expect(() => declare('retryOn', d)).not.toThrow()
    const named = (name: string) => Object.defineProperty(class extends Error {}, 'name', { value: name })
    expect(() => declare('retryOn', named('$ZodError'))).not.toThrow()
    for (const name of ['$', '$e', '$a1', 'ZodError$1']) expect(() => declare('retryOn', named(name))).toThrow()
    expect(() => declare('discardOn', o)).not.toThrow()
    expect(() => declare('rescueFrom', o)).not.toThrow()
  })

  test.each(['retryOn', 'discardOn', 'rescueFrom'] as const)(
    '%s refuses a value that is no error class, with its type',
    (declaration) => {
      expect(() => declare(declaration, undefined)).toThrow(
        new RegExp(`^${declaration}: the error class is undefined: .*no two modules import each other`),
      )
      expect(() => declare(declaration, [TypeError, undefined])).toThrow(/is undefined/)
      expect(() => declare(declaration, new TypeError('x'))).toThrow(
        /: this is an instance of TypeError: pass the class$/,
      )
      expect(() => declare(declaration, 42)).toThrow(/: an error class or the name of one is needed, got 42$/)
      expect(() => declare(declaration, [])).toThrow(/needs an error class/)
    },
  )

  describe('by a name', () => {
    const warnings: Error[] = []
    const collect = (warning: Error) => void warnings.push(warning)
    beforeEach(() => void process.on('warning', collect))
    afterEach(() => {
      process.off('warning', collect)
      warnings.length = 0
    })
    const afterWarnings = () => new Promise((resolve) => setImmediate(resolve))

    test('that no error can have lead to one warning, once', async () => {
      declare('retryOn', 'NetwrokError')
      declare('discardOn', ['NetwrokError', 'TimeuotError'])
      await afterWarnings()
      expect(warnings).toMatchObject(
        [
          { code: 'GOOD_JOB_ERROR_NAME', message: /^retryOn\('NetwrokError'\): no known error has this name/ },
          { message: /^discardOn\('TimeuotError'\): .* \(did you mean TimeoutError\?\); pass the class itself/ },
        ].map((each) => ({ ...each, message: expect.stringMatching(each.message) })),
      )
    })

    test('of Ruby, of JavaScript or of this package lead to no warning', async () => {
      declare('retryOn', ['Net::OpenTimeout', 'TypeError', 'AbortError', 'InterruptError', 'Error'])
      await afterWarnings()
      expect(warnings).toEqual([])
    })
  })
})
