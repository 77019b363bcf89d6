import { ConfigurationError } from '../errors.ts'

/**
 * The name of a job class in the queue: its own `static jobClass`, else the name of the class; never an inherited one,
 * as a Ruby subclass has its own name too. Throws ConfigurationError for a class without a name.
 */
export const jobClassName = (jobClass: { readonly name: string }): string => {
  const name = Object.hasOwn(jobClass, 'jobClass') ? (jobClass as { jobClass?: unknown }).jobClass : jobClass.name
  if (typeof name === 'string' && name !== '') return name
  throw new ConfigurationError(`A job class needs a name: add static jobClass = '…' (got ${String(name)})`)
}
