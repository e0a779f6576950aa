/** The settings of `npm run mutate` for its own plugins, which run in processes of their own. */
export interface Settings {
  /** The repository's folder. */
  root: string
  /** The folder that keeps what is known from earlier runs. */
  memory: string
  /** The folder whose mutants are run. */
  folder: string
  /** The part of the mutants that is drawn, 0 to 1. */
  share: number
  seed: number
}

export const settingsOf = (options: unknown): Settings => (options as { bursar: Settings }).bursar
