import type { Metered, Rule, Taker, Taking } from './protect.ts'

/** What adapters get of a meter. */
export interface Metering extends Taker {
  /** A route's rule, filled up from the meter's own. */
  // biome-ignore lint/suspicious/noExplicitAny: the meter's own rule reads requests of every framework
  ruleOf<Raw>(rule: Rule<Raw>): Rule<any>
  /** Makes a request's metering known to handlers, by the object that they have in hand. */
  show(request: object, taking: Taking): void
  metered(request: object): Metered
}
