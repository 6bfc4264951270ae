export { default } from '../../frontend-snippet/eslint.config.js';
