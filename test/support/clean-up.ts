/**
 * A clean-up for `afterAll` and `afterEach` of several steps: each runs in its turn, also when an earlier one throws, as all do when
 * `beforeAll` has failed half-way. What they threw is thrown at the end.
 */
export const inTurn =
  (...steps: readonly (() => unknown)[]) =>
  async (): Promise<void> => {
    const errors: unknown[] = []
    for (const step of steps) {
      try {
        await step()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length === 1) throw errors[0]
    if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join('\n'))
  }
