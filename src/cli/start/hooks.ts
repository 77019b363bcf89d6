import { ModuleError } from '../../errors.ts'
import { events } from '../../events.ts'
import { endsWithin } from '../../time.ts'
import { exportsOf, loadModule } from './load-module.ts'

/** GoodJob 4.23.1 lifecycle_hooks.rb: EVENTS. */
const HOOK_NAMES = ['beforeSupervisorFork', 'beforeSubprocessBoot'] as const
type HookName = (typeof HOOK_NAMES)[number]

/** A subprocess is not kept waiting for longer by a hook that does not end. */
const HOOK_MS = 10_000

type Hook = (context: { readonly index: number }) => unknown

/** The functions of the module of `--hooks`. GoodJob: GoodJob.before_supervisor_fork, GoodJob.before_subprocess_boot. */
export class LifecycleHooks {
  readonly #hooks: ReadonlyMap<string, Hook>

  private constructor(hooks: ReadonlyMap<string, Hook>) {
    this.#hooks = hooks
  }

  /** @throws ModuleError for a module that does not load, exports none of the hooks, or one that is not a function */
  static async load(specifier: string | undefined): Promise<LifecycleHooks> {
    if (specifier === undefined) return new LifecycleHooks(new Map())
    const exported = exportsOf(await loadModule(specifier)).filter(([name]) => HOOK_NAMES.includes(name as HookName))
    if (exported.length === 0) {
      throw new ModuleError(`${specifier} exports no hook: export a function ${HOOK_NAMES.join(' or ')}`)
    }
    const wrong = exported.find(([, value]) => typeof value !== 'function')
    if (wrong !== undefined) throw new ModuleError(`${specifier}: ${wrong[0]} is not a function`)
    return new LifecycleHooks(new Map(exported as [string, Hook][]))
  }

  /** Calls a hook and waits for its promise. An error is emitted as `worker_error`. Never rejects. */
  async run(name: HookName, index: number): Promise<void> {
    const hook = this.#hooks.get(name)
    if (hook === undefined) return
    try {
      const ended = Promise.resolve(hook({ index }))
      if (!(await endsWithin(ended, HOOK_MS))) throw new Error(`${name} did not end within ${HOOK_MS / 1000} s`)
    } catch (error) {
      events.emit('worker_error', { part: `hook ${name}`, error })
    }
  }
}
