/** Times and sizes in words. */

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const absolute = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

/** "5 minutes ago", or the date once it is more than a day. */
export function ago(time) {
  const minutes = Math.round((new Date(time) - Date.now()) / 60_000);
  if (minutes > -1) return 'just now';
  if (minutes > -60) return relative.format(minutes, 'minute');
  return minutes > -24 * 60 ? relative.format(Math.round(minutes / 60), 'hour') : dateTime(time);
}

export const dateTime = (time) => absolute.format(new Date(time));

/** The time of day, with the date unless it was today. */
export function clockTime(time) {
  const today = new Date(time).toDateString() === new Date().toDateString();
  return today ? clock.format(new Date(time)) : dateTime(time);
}

export const size = (bytes) => (bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(bytes < 10_240 ? 1 : 0)} KB`);
