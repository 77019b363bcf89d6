import type { JobCallback } from '../callbacks.ts'
import type { DeclaredRule } from '../concurrency/rules.ts'
import { continueJob } from '../continuation/resume.ts'
import type { AfterDiscard, Handler } from '../exceptions/exceptions.ts'
import { throwIfInterrupted } from '../exceptions/interrupts.ts'

/** The declarations of a class, in the order in which they were made; those of a superclass come first. */
export interface Declarations {
  readonly enqueue: JobCallback[]
  readonly perform: JobCallback[]
  readonly handlers: Handler[]
  readonly afterDiscard: AfterDiscard[]
  readonly concurrency: DeclaredRule[]
}

const empty = (): Declarations => ({ enqueue: [], perform: [], handlers: [], afterDiscard: [], concurrency: [] })

const declared = new WeakMap<object, Declarations>()
const inherited = new WeakMap<object, { readonly version: number; readonly all: Declarations }>()
let version = 0

/** The class's own declarations, to which the caller adds one. */
export const declareOn = (jobClass: object): Declarations => {
  version++
  let own = declared.get(jobClass)
  if (!own) {
    own = empty()
    declared.set(jobClass, own)
  }
  return own
}

/** Static flags that add an around callback, at the position of the topmost class that sets the flag. */
const FLAG_CALLBACKS: readonly (readonly [flag: string, callback: JobCallback])[] = [
  ['interruptErrors', { kind: 'around', run: throwIfInterrupted }],
  ['continuable', { kind: 'around', run: continueJob }],
]

const isSet = (owner: object, flag: string): boolean => (owner as Record<string, unknown>)[flag] === true

/** The declarations of a class and of all its superclasses. */
export const declarationsOf = (jobClass: object): Declarations => {
  const known = inherited.get(jobClass)
  if (known?.version === version) return known.all
  const all = collect(jobClass)
  inherited.set(jobClass, { version, all })
  return all
}

const collect = (jobClass: object): Declarations => {
  const lineage: object[] = []
  for (let owner: object | null = jobClass; typeof owner === 'function'; owner = Object.getPrototypeOf(owner)) {
    lineage.unshift(owner)
  }
  const all = empty()
  const pending = new Map(FLAG_CALLBACKS.filter(([flag]) => isSet(jobClass, flag)))
  for (const owner of lineage) {
    for (const [flag, callback] of pending) {
      if (!isSet(owner, flag)) continue
      pending.delete(flag)
      all.perform.push(callback)
    }
    const own = declared.get(owner)
    if (!own) continue
    all.enqueue.push(...own.enqueue)
    all.perform.push(...own.perform)
    all.handlers.push(...own.handlers)
    all.afterDiscard.push(...own.afterDiscard)
    all.concurrency.push(...own.concurrency)
  }
  return all
}
