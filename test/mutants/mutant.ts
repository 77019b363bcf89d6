/**
 * A guard that a promise rests on (a lock, a fence, a condition, an order), and the tests that turn red when it is taken away.
 */
export interface Mutant {
  /** What is taken away, in plain words. */
  readonly name: string
  /** Path from the root of the project. */
  readonly file: string
  /** Stands exactly once in the file. */
  readonly text: string
  readonly replacement: string
  /**
   * Files of tests and the titles in them, each of which must turn red. Titles are the last words of a test's full name and may be cut
   * short at the end. Without titles one red test of the file is enough.
   */
  readonly tests: Readonly<Record<string, readonly string[]>>
}
