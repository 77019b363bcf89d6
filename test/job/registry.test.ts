import { expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import { isJobClass } from '../../src/job/definition/job-class.ts'
import { JobRegistry } from '../../src/job/definition/registry.ts'

class MailJob extends Job {
  static override jobClass = 'Post::MailJob'
  perform() {}
}

class OtherMailJob extends Job {
  static override jobClass = 'Post::MailJob'
  perform() {}
}

class UrgentMailJob extends MailJob {}

test('a registry finds classes by their job_class name', () => {
  const registry = new JobRegistry().register(MailJob).register(UrgentMailJob).register(MailJob)
  expect(registry.names()).toEqual(['Post::MailJob', 'UrgentMailJob'])
  expect(registry.get('Post::MailJob')).toBe(MailJob)
})

test('a registry finds no class that was not registered, whatever its name [AJ-014]', () => {
  const registry = new JobRegistry().register(MailJob)
  for (const name of ['MailJob', 'constructor', '__proto__', 'Kernel', '']) expect(registry.get(name)).toBeUndefined()
})

test('two classes with the same name are refused with an error that names both', () => {
  const registry = new JobRegistry().register(MailJob)
  expect(() => registry.register(OtherMailJob)).toThrow(ConfigurationError)
  expect(() => registry.register(OtherMailJob)).toThrow(/"Post::MailJob": MailJob and OtherMailJob/)
})

test('job classes are distinguished from all other exports of a module', () => {
  expect([MailJob, UrgentMailJob].every(isJobClass)).toBe(true)
  expect([Job, class {}, () => MailJob, new MailJob(), 'MailJob', null, undefined].some(isJobClass)).toBe(false)
})
