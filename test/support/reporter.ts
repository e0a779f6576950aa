import { DefaultReporter, type TestModule, type TestSpecification } from 'vitest/node'

/** How often progress is printed where a line cannot be redrawn, as in a log file. */
const PROGRESS_EVERY_MS = 10_000

/**
 * Prints failures and progress. A terminal shows Vitest's own live summary; other outputs get a line every
 * ten seconds. `npm run test:times` shows the slow tests.
 */
export class ShortReporter extends DefaultReporter {
  #files = 0
  #done = 0
  #tests = 0
  #failed = 0
  #startedMs = 0
  #printedMs = 0

  override onTestRunStart(specifications: readonly TestSpecification[]): void {
    super.onTestRunStart(specifications)
    this.#files = specifications.length
    this.#startedMs = performance.now()
    this.#printedMs = this.#startedMs
  }

  override onTestModuleEnd(module: TestModule): void {
    const results = [...module.children.allTests()].map((test) => test.result().state)
    this.#done += 1
    this.#tests += results.length
    this.#failed += results.filter((state) => state === 'failed').length
    super.onTestModuleEnd(module)
  }

  protected override printTestModule(module: TestModule): void {
    if (module.state() === 'failed') super.printTestModule(module)
    const nowMs = performance.now()
    if (module.state() === 'failed' || this.isTTY || nowMs - this.#printedMs < PROGRESS_EVERY_MS) return
    this.#printedMs = nowMs
    const seconds = Math.round((nowMs - this.#startedMs) / 1000)
    this.log(
      ` ${seconds} s: ${this.#done} of ${this.#files} files, ${this.#tests} tests, ${this.#failed} failed`,
    )
  }
}
