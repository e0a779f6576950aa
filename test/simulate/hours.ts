/** Where accounts are: their share, and by how many hours their clocks are ahead of UTC. */
const ZONES = [
  { share: 0.35, hours: -6 },
  { share: 0.35, hours: 1 },
  { share: 0.3, hours: 8 },
] as const

/** What weekends have of a working day. */
const WEEKEND = 0.7

const MINUTES = 1440

/** Use at an hour of the day, on the clock of the account: programs never sleep, people do. Its average is 1. */
const atHour = (hour: number): number => 1 - 0.7 * Math.cos((2 * Math.PI * (hour - 3)) / 24)

/** The use in a minute of a day (UTC), in all time zones together, as a multiple of the day's average. */
const ACTIVITY: readonly number[] = Array.from({ length: MINUTES }, (_, minute) =>
  ZONES.reduce((sum, { share, hours }) => sum + share * atHour(minute / 60 + hours), 0),
)

/** The part of a day's use that comes in a minute (UTC); the parts of a day sum to 1. */
export const partOfDay = (minute: number): number => (ACTIVITY[minute % MINUTES] ?? 1) / MINUTES

/** The part of an average day's use that comes on a day; the month begins on a Monday. */
export function weightOfDay(day: number): number {
  const average = (5 + 2 * WEEKEND) / 7
  return (day % 7 >= 5 ? WEEKEND : 1) / average
}
